"""NormFace: softmax over scaled cosines, without a margin.

    logit_j = s cos(theta_j)

s is `scale`. Without it (s = 1) the loss cannot fall far: when all classes have as many samples, it is at
least

    log(1 + (C - 1) exp(-s C / (C - 1)))                                      (proposition 2)

which is 8.27 at s = 1 for 10,575 classes, and under 0.01 only from s = 14 on. `lowest_loss` computes it.
Differs from the paper: s is fixed, as in the margin losses that followed; the paper learns it.

Wang, Xiang, Cheng, Yuille: NormFace: L2 hypersphere embedding for face verification. ACM MM 2017.
https://arxiv.org/abs/1704.06369
"""

import math

from torch import Tensor, nn

from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax


class NormFaceLoss(nn.Module):
    """Cross-entropy of scaled cosines.

    Args:
        embedding_size: D.
        class_count: C.
        scale: s.

    Attributes:
        weight: (C, D).
    """

    def __init__(self, embedding_size: int, class_count: int, *, scale: float = 30.0) -> None:
        super().__init__()
        self.weight = class_weights(class_count, embedding_size)
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings of any length with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        return self.scale * cosines.values


def lowest_loss(class_count: int, *, scale: float) -> float:
    """What the mean loss over equally frequent classes cannot fall below (proposition 2)."""
    return math.log1p((class_count - 1) * math.exp(-scale * class_count / (class_count - 1)))
