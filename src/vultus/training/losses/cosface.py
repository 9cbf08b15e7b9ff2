"""CosFace: additive cosine margin softmax (also AM-Softmax).

    logit_y = s (cos(theta_y) - m),    others s cos(theta_j)                  (eq. 4)

m is `margin_cos` (paper 0.35), s is `scale` (paper 64). The margin is on the own class only, and it is taken
from the cosine: what adds it to the angle is ArcFace.

Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu: CosFace: large margin cosine loss. CVPR 2018.
https://arxiv.org/abs/1801.09414
"""

from torch import Tensor, nn

from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax


class CosFaceLoss(nn.Module):
    """Softmax with a margin on the cosine.

    Args:
        embedding_size: D.
        class_count: C.
        margin_cos: m.
        scale: s.

    Attributes:
        weight: (C, D).
    """

    def __init__(
        self, embedding_size: int, class_count: int, *, margin_cos: float = 0.35, scale: float = 64.0
    ) -> None:
        super().__init__()
        self.weight = class_weights(class_count, embedding_size)
        self.margin_cos = margin_cos
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings of any length with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        return self.scale * cosines.place(cosines.values, cosines.target - self.margin_cos)
