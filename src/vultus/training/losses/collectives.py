"""Talking between the processes that share a loss: ranks, sums, maxima, and rows that carry gradients.

Without a process group there is one rank, 0, and every function answers what it was given.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vultus.errors import ShapeError


def rank() -> int:
    """Which process this is, from 0."""
    return dist.get_rank() if _is_shared() else 0


def rank_count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if _is_shared() else 1


def sum_over_ranks(values: Tensor) -> Tensor:
    """The element-wise sum over all ranks, without gradient; the argument stays as it is."""
    total = values.detach().clone()
    if _is_shared():
        dist.all_reduce(total)
    return total


def mean_over_ranks(values: Tensor) -> Tensor:
    """The element-wise mean over all ranks, without gradient.

    What a loss divides by, where it is a count over the batch: then the mean of the ranks' losses, which is
    what data-parallel training follows, is the loss of all their samples as one batch.
    """
    return sum_over_ranks(values) / rank_count()


def mean_count(count: int | Tensor, *, device: torch.device) -> Tensor:
    """What the sum over a rank's rows is divided by: the count over all ranks, at least 1, per rank."""
    total = sum_over_ranks(torch.as_tensor(count, dtype=torch.float32, device=device))
    return total.clamp(min=1) / rank_count()


def max_over_ranks(values: Tensor) -> Tensor:
    """The element-wise maximum over all ranks, without gradient; the argument stays as it is."""
    highest = values.detach().clone()
    if _is_shared():
        dist.all_reduce(highest, op=dist.ReduceOp.MAX)
    return highest


def gather_rows(rows: Tensor) -> Tensor:
    """(n, ...) rows of each rank to (n * ranks, ...) rows on all, in the order of the ranks.

    The gradient of a rank's own rows is the sum of what all ranks ask of them.

    Raises:
        ShapeError: the ranks do not have equally many rows; every rank raises it.
    """
    if not _is_shared():
        return rows
    own_count = torch.tensor([len(rows)], device=rows.device)
    most, fewest = (int(max_over_ranks(sign * own_count)) * sign for sign in (1, -1))
    if most != fewest:
        raise ShapeError(
            f"every rank must bring equally many rows, got {len(rows)} here and {fewest} to {most} over all; "
            "drop the last, smaller batch"
        )
    # torch gives `apply` no type
    gathered: Tensor = _GatherRows.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


class OfAllRanks(nn.Module):
    """A loss of the embeddings of all ranks at once, as one process would compute it.

    For losses that compare faces with each other, or remember something of them. Gathering sums the ranks'
    gradients and data-parallel training averages them, so that the network learns as from one batch.

    Args:
        loss: of (N, D) embeddings and (N,) labels.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of the embeddings and labels of all ranks; the same value on each of them."""
        value: Tensor = self.loss(gather_rows(embeddings), gather_rows(labels))
        return value


def gather_padded(values: Tensor, *, padding: float) -> tuple[Tensor, slice]:
    """(n,) values of each rank, which may be differently many, to all on all ranks; without gradient.

    Returns:
        (m * ranks,) values, those of each rank filled up with `padding` to the longest, m; and where this
        rank's own are.
    """
    if not _is_shared():
        return values.detach(), slice(0, len(values))
    longest = int(max_over_ranks(torch.tensor([len(values)], device=values.device)))
    padded = values.new_full((longest,), padding)
    padded[: len(values)] = values.detach()
    start = rank() * longest
    return gather_rows(padded), slice(start, start + len(values))


class _GatherRows(torch.autograd.Function):
    """All-gather; its backward is the sum over ranks, cut to the own rows."""

    @staticmethod
    def forward(_ctx: Any, rows: Tensor) -> Tensor:
        """(n, ...) to (n * ranks, ...). Any: torch gives its context no type."""
        parts = [torch.empty_like(rows) for _ in range(rank_count())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> Tensor:
        """(n * ranks, ...) to (n, ...)."""
        return sum_over_ranks(grad.contiguous()).chunk(rank_count())[rank()]


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized()
