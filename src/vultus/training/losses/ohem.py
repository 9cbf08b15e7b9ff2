"""Online hard example mining: of a batch, only the examples with the largest losses teach.

The choice is made anew at every step, from the losses of the forward pass, and has no gradient itself.

Shrivastava, Gupta, Girshick: Training region-based object detectors with online hard example mining. CVPR
2016. https://arxiv.org/abs/1604.03540

"""

import torch
from torch import Tensor


@torch.no_grad()
def is_hardest(losses: Tensor, counts: Tensor, *, is_candidate: Tensor) -> Tensor:
    """Which candidates of each row have its largest losses.

    Args:
        losses: (N, A).
        counts: (N,) integers, how many to take from each row; all candidates where there are fewer.
        is_candidate: (N, A) bool.

    Returns:
        (N, A) bool; of equal losses, the first.
    """
    ranked = losses.where(is_candidate, -torch.inf).argsort(dim=1, descending=True, stable=True)
    ranks = ranked.argsort(dim=1)  # the inverse permutation: where each example stands
    return (ranks < counts[:, None]) & is_candidate
