"""Contrastive loss: pull pairs of one person together, push others at least a margin apart.

    L = 1/2 d^2                    the pair shows one person
      = 1/2 max(0, m - d)^2        it does not,              d = |u - v|                 (eq. 4)

m is `margin_l2`, in the units of d: for unit vectors d lies in [0, 2], and 1 is the usual margin.

**The trap.** Hadsell's label is Y = 0 for *similar* pairs; half of the public code says 1. Here the argument
is called `is_same` and must be bool. The square belongs outside of the hinge: max(0, m - d^2) is another
loss.

Differs from the paper: the mean over the pairs instead of the sum. At d = 0 a pair of different people has no
direction to go: its gradient is 0 there, not NaN.

Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping. CVPR 2006.
https://doi.org/10.1109/CVPR.2006.100
"""

import torch
from torch import Tensor, nn

from vultus.networks.embedding import widen
from vultus.training.checks import check_mask, check_positive, check_rows


class ContrastiveLoss(nn.Module):
    """The mean contrastive loss of pairs.

    Args:
        margin_l2: m, a distance.

    Raises:
        InputError: the margin is not positive.
    """

    def __init__(self, *, margin_l2: float = 1.0) -> None:
        super().__init__()
        check_positive(margin_l2=margin_l2)
        self.margin_l2 = margin_l2

    def forward(self, first: Tensor, second: Tensor, is_same: Tensor) -> Tensor:
        """The mean over pairs i: `first[i]` with `second[i]`.

        Args:
            first: (N, D), as they are to be compared: normalise them if the margin is meant for unit vectors.
            second: (N, D).
            is_same: (N,) bool, True where both show one person.

        Raises:
            ShapeError: a shape or dtype is another one, or there is no pair.
        """
        check_rows(first=first, second=second)
        check_mask(is_same, (len(first),), "is_same")
        return contrastive(first, second, is_same, margin_l2=self.margin_l2).mean()


def contrastive(first: Tensor, second: Tensor, is_same: Tensor, *, margin_l2: float) -> Tensor:
    """(N,) losses of pairs of (N, D) rows; `is_same` is True where a pair shows one person."""
    difference = widen(first) - widen(second)
    distance = torch.linalg.vector_norm(difference, dim=1)  # its gradient at 0 is 0
    apart = (margin_l2 - distance).clamp(min=0)
    # The square of the sum, not of the root: exact gradients for near pairs.
    return torch.where(is_same, difference.square().sum(1), apart.square()) / 2
