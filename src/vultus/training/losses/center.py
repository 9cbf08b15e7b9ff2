"""Center loss: pull every embedding towards the mean of its class.

    L_C = 1/2 sum_i |x_i - c_(y_i)|^2                                                   (eq. 2)
    delta c_j = sum_(i: y_i = j) (c_j - x_i) / (1 + n_j),   c_j <- c_j - alpha delta c_j  (eq. 4)
    L = L_S + lambda L_C                                                                (eq. 5)

c_j is the centre of class j, n_j how many of the batch belong to it, alpha is `centre_rate` (paper 0.5), L_S
the softmax cross-entropy, lambda is `centre_weight` (paper 0.003 in the comparison, section 4).

**The traps.** Alone it collapses: all embeddings and all centres at one point cost nothing.
`SoftmaxCenterLoss` is the joint form. The distances are of gathered differences: the expanded |x|^2 + |c|^2 -
2 x.c over all classes cancels in float32 (a true 5e-4 came out as 0.0), and costs C times as much. x is not
normalised.

Differs from the paper: the joint loss is divided by the batch size, both terms alike, which keeps lambda's
meaning.
The centres move in forward, in training mode, like a batch norm's running mean; they are no parameters.

Wen, Zhang, Li, Qiao: A discriminative feature learning approach for deep face recognition. ECCV 2016.
https://doi.org/10.1007/978-3-319-46478-7_31
"""

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import widen
from vultus.training.checks import check_not_negative
from vultus.training.losses.labels import check_batch
from vultus.training.losses.softmax import SoftmaxLoss


class CenterLoss(nn.Module):
    """Half the summed squared distances to the class centres. Use `SoftmaxCenterLoss` to train.

    Args:
        embedding_size: D.
        class_count: C.
        centre_rate: alpha, in [0, 1]; 0 keeps the centres where they are.

    Attributes:
        centres: (C, D) buffer, from 0.

    Raises:
        InputError: the rate is outside [0, 1].
    """

    centres: Tensor

    def __init__(self, embedding_size: int, class_count: int, *, centre_rate: float = 0.5) -> None:
        super().__init__()
        if not 0 <= centre_rate <= 1:
            raise InputError(f"centre_rate must be in [0, 1], got {centre_rate}")
        self.register_buffer("centres", torch.zeros(class_count, embedding_size))
        self.centre_rate = centre_rate

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The summed loss of (N, D) embeddings with (N,) int64 labels; then, in training, the centres move.

        Raises:
            ShapeError: a shape or dtype is another one, or the batch is empty.
            InputError: a label names no class.
        """
        class_count, embedding_size = self.centres.shape
        check_batch(embeddings, labels, embedding_size=embedding_size, class_count=class_count)
        loss = center_loss(embeddings, labels, self.centres)
        if self.training:
            self.centres = moved_centres(embeddings, labels, self.centres, rate=self.centre_rate)
        return loss


class SoftmaxCenterLoss(nn.Module):
    """Softmax and center loss together, the form that trains.

    Args:
        embedding_size: D.
        class_count: C.
        centre_weight: lambda.
        centre_rate: alpha.
        label_smoothing: of the softmax.

    Raises:
        InputError: the weight is negative, or the rate or the smoothing outside of its range.
    """

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        centre_weight: float = 0.003,
        centre_rate: float = 0.5,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_not_negative(centre_weight=centre_weight)
        self.softmax = SoftmaxLoss(embedding_size, class_count, label_smoothing=label_smoothing)
        self.center = CenterLoss(embedding_size, class_count, centre_rate=centre_rate)
        self.centre_weight = centre_weight

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean joint loss of (N, D) un-normalised embeddings with (N,) int64 labels.

        Raises:
            ShapeError: a shape or dtype is another one, or the batch is empty.
            InputError: a label names no class.
        """
        softmax: Tensor = self.softmax(embeddings, labels)
        center: Tensor = self.center(embeddings, labels)
        return softmax + self.centre_weight * center / len(embeddings)


def center_loss(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Eq. 2 for (N, D) embeddings, (N,) int64 labels and (C, D) centres."""
    return (widen(embeddings) - centres[labels]).square().sum() / 2


@torch.no_grad()
def moved_centres(embeddings: Tensor, labels: Tensor, centres: Tensor, *, rate: float) -> Tensor:
    """The (C, D) centres after one step of eq. 4; those of absent classes stay."""
    differences = centres[labels] - embeddings.to(centres.dtype)
    sums = torch.zeros_like(centres).index_add_(0, labels, differences)
    counts = labels.bincount(minlength=len(centres))
    return centres - rate * sums / (1 + counts)[:, None]
