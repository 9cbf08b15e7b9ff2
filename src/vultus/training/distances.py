"""Distances between all rows of a batch, with finite gradients: 0 between equal rows.

They are made from differences: |a|^2 + |b|^2 - 2 a.b loses the digits of near rows.
"""

import torch
from torch import Tensor


def distances(rows: Tensor) -> Tensor:
    """(N, N) Euclidean distances of (N, D) rows."""
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def squared_distances(rows: Tensor) -> Tensor:
    """(N, N) squared Euclidean distances of (N, D) rows."""
    return distances(rows).square()
