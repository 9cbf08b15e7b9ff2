"""A-Softmax, the loss of SphereFace: multiplies the angle to classes of length 1.

    logit_y = |x| f(theta_y),    others |x| cos(theta_j)                      (eq. 7, W normalised, no bias)
    f = (lambda cos(theta) + psi(theta)) / (1 + lambda),    lambda = max(5, 1500 / (1 + 0.1 step))
    psi(theta) = (-1)^k cos(m theta) - 2 k,    k pi / m <= theta <= (k + 1) pi / m

m is `factor` (paper 4). The embedding keeps its length, which takes the place of a scale.
`annealing=None` is the bare formula of the paper, lambda = 0, which hardly trains from scratch.

Liu, Wen, Yu, Li, Raj, Song: SphereFace: deep hypersphere embedding for face recognition. CVPR 2017.
https://arxiv.org/abs/1704.08063
"""

from torch import Tensor, nn

from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax
from vultus.training.losses.multiplied_angle import Annealing, MultipliedAngle


class ASoftmaxLoss(nn.Module):
    """Softmax over lengths times cosines, the own class at m times its angle.

    Args:
        embedding_size: D.
        class_count: C.
        factor: m.
        annealing: how lambda falls; None is psi alone.

    Attributes:
        weight: (C, D).

    Raises:
        InputError: the factor is not a whole number from 1.
    """

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        factor: int = 4,
        annealing: Annealing | None = Annealing(),  # noqa: B008  it is frozen
    ) -> None:
        super().__init__()
        self.weight = class_weights(class_count, embedding_size)
        self.margin = MultipliedAngle(factor, annealing)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) un-normalised embeddings with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        return cosines.lengths[:, None] * cosines.place(cosines.values, self.margin(cosines.target))
