"""Deep CORAL: two domains whose embeddings vary alike, by their covariances.

    L = 1 / (4 d^2) |C_S - C_T|_F^2                                                          (eq. 1)
    C = 1 / (n - 1) (X - mean)^T (X - mean)                                                  (eq. 2, 3)

d is the length of the embeddings, S and T the source and target domains, of n_S and n_T rows in one batch.
The means do not matter: domains that differ by a shift alone cost nothing; MMD sees that. It needs no labels.

Differs from the paper: the rows are centred before they are multiplied; X^T X - n mean mean^T, as printed,
cancels.

Sun, Saenko: Deep CORAL: correlation alignment for deep domain adaptation. ECCV workshops 2016.
https://arxiv.org/abs/1607.01719
"""

import torch
from torch import Tensor, nn

from vultus.networks.embedding import widen
from vultus.training.losses.mmd import check_domains


class CoralLoss(nn.Module):
    """The squared distance of the covariances of two domains, to be weighed against a class loss."""

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The loss of (M, D) and (N, D) embeddings.

        Raises:
            ShapeError: another shape or dtype, other lengths of rows, or fewer than two rows of a domain.
        """
        check_domains(source, target)
        with torch.autocast(source.device.type, enabled=False):
            gap = covariance(source) - covariance(target)
        return gap.square().sum() / (4 * source.shape[1] ** 2)


def covariance(rows: Tensor) -> Tensor:
    """(D, D) unbiased covariance of (N, D) rows."""
    centred = widen(rows) - widen(rows).mean(0)
    return centred.T @ centred / (len(rows) - 1)
