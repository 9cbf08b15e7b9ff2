"""L-Softmax: large-margin softmax, which multiplies the angle.

    logit_y = |W_y| |x| psi(theta_y),    others |W_j| |x| cos(theta_j)        (eq. 4-6)
    psi(theta) = (-1)^k cos(m theta) - 2 k,    k pi / m <= theta <= (k + 1) pi / m

m is `factor`, a whole number (paper 2 to 4). Nothing is normalised: lengths of embeddings and classes take
part, and there is no bias. With `annealing`, psi is blended with the cosine (section 5.1), see
`multiplied_angle`.

Liu, Wen, Yu, Yang: Large-margin softmax loss for convolutional neural networks. ICML 2016.
https://arxiv.org/abs/1612.02295
"""

from torch import Tensor, nn

from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax
from vultus.training.losses.multiplied_angle import Annealing, MultipliedAngle


class LSoftmaxLoss(nn.Module):
    """Softmax over inner products, the own class at m times its angle.

    Args:
        embedding_size: D.
        class_count: C.
        factor: m.
        annealing: how lambda falls; None (default) is psi alone.

    Attributes:
        weight: (C, D).

    Raises:
        InputError: the factor is not a whole number from 1.
    """

    def __init__(
        self, embedding_size: int, class_count: int, *, factor: int = 4, annealing: Annealing | None = None
    ) -> None:
        super().__init__()
        self.weight = class_weights(class_count, embedding_size)
        self.margin = MultipliedAngle(factor, annealing)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) un-normalised embeddings with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        turned = cosines.place(cosines.values, self.margin(cosines.target))
        return cosines.lengths[:, None] * cosines.class_lengths * turned
