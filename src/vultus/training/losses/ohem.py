"""Online hard example mining: of a batch, only the examples with the largest losses teach.

The choice is made anew at every step, from the losses of the forward pass, and has no gradient itself.

Shrivastava, Gupta, Girshick: Training region-based object detectors with online hard example mining. CVPR
2016. https://arxiv.org/abs/1604.03540

"""

import torch
from torch import Tensor

from vultus.training.losses.collectives import gather_padded, rank_count


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
    order = losses.where(is_candidate, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    ranks = torch.empty_like(order).scatter_(1, order, places)  # the inverse permutation
    return (ranks < counts[:, None]) & is_candidate


@torch.no_grad()
def is_hardest_share(losses: Tensor, share: float, *, is_candidate: Tensor) -> tuple[Tensor, Tensor]:
    """Which candidates have the largest losses of a batch that all ranks share.

    Args:
        losses: (n,) of this rank's examples; the ranks may have differently many.
        share: of all ranks' candidates, how many to take; at least one is taken, if there is one.
        is_candidate: (n,) bool.

    Returns:
        (n,) bool; and a scalar, how many are taken per rank on average: over all ranks, divided by their
        number.
    """
    ranked, own = gather_padded(losses.where(is_candidate, -torch.inf), padding=-torch.inf)
    candidates = ranked != -torch.inf
    count = (candidates.sum() * share).round().clamp(min=1)
    chosen = is_hardest(ranked[None], count[None], is_candidate=candidates[None])[0]
    return chosen[own], count / rank_count()
