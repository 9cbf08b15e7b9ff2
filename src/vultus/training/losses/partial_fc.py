"""Partial FC: the classes of a margin loss spread over processes, and only a sample of them in each step.

With millions of people, neither the class weights nor the (N, C) logits fit one device. So rank r of R holds
the classes [r C / R, (r + 1) C / R), and in each step

    1. all ranks gather all embeddings and labels
    2. each rank takes, of its classes, those that the batch shows (never left out) and others by lot, up to
       the share `sampling_rate` of what it holds
    3. it compares all faces with these; a face whose class another rank holds has label -1 here: no column,
       no margin, every class a negative
    4. the softmax is put together:  L_i = log(sum over ranks of z_i) - (logit_i,y - max_i),
       z_i = sum_j exp(logit_i,j - max_i), max_i over all ranks. log(p) would underflow at scale 64.

At a sampling rate of 1 loss and gradients are those of the unsharded loss on the whole batch. Below 1 the
loss is smaller, as it has fewer negatives; the paper finds a tenth enough.

**Traps.** Each rank needs other initial weights (the same seed everywhere would make class j of every shard
one and the same; here the rank goes into the seed). DistributedDataParallel must wrap the network only, not
this; and as it averages gradients over ranks, while this one's gradient of an embedding is already that of
the mean over all, set `is_averaged_after`. A class not sampled has gradient 0, not none: weight decay and
momentum still move it.

Differs from the paper: any margin of this folder, and the labels are checked after
gathering, so that all ranks refuse a bad batch together instead of waiting for the one that did.

An, Deng, Guo, Feng, Zhu, Yang, Liu: Killing two birds with one stone: efficient and robust training of face
recognition CNNs by Partial FC. CVPR 2022. https://arxiv.org/abs/2203.15565
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import widen
from vultus.training.losses.collectives import (
    gather_rows,
    max_over_ranks,
    rank,
    rank_count,
    sum_over_ranks,
)
from vultus.training.losses.cosines import INITIAL_STD, Cosines
from vultus.training.losses.labels import check_batch
from vultus.training.losses.margin_softmax import HasPenalty, MarginLoss


class PartialFC(nn.Module):
    """A margin loss over all processes of the default group; over one where there is none.

    Args:
        build: makes the margin loss for a number of classes, such as `partial(ArcFaceLoss, 512)`.
        class_count: C, over all ranks; at least one per rank.
        sampling_rate: share of the classes compared in a training step, in (0, 1].
        is_averaged_after: whether the embeddings' gradients will be averaged over ranks below, as
            DistributedDataParallel does; they are multiplied by the number of ranks to make up for it.
        seed: of the initial weights and of the lots; the same on all ranks.

    Attributes:
        loss: the margin loss; `loss.weight` is this rank's shard, saved by each rank for itself.
        class_range: first class of this rank, and the one after its last.

    Raises:
        InputError: fewer classes than ranks, a rate outside (0, 1], or a loss that is not over cosines.
    """

    def __init__(
        self,
        build: Callable[[int], nn.Module],
        class_count: int,
        *,
        sampling_rate: float = 1.0,
        is_averaged_after: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if class_count < rank_count():
            raise InputError(f"{class_count} classes cannot be spread over {rank_count()} ranks")
        if not 0 < sampling_rate <= 1:
            raise InputError(f"sampling_rate must be in (0, 1], got {sampling_rate}")
        self.class_count = class_count
        self.class_range = shard(class_count, rank(), part_count=rank_count())
        loss = build(self.class_range[1] - self.class_range[0])
        if not isinstance(loss, MarginLoss):
            raise InputError(
                f"Partial FC takes a loss over cosines, got {type(loss).__name__}; see MarginLoss"
            )
        self.loss = loss
        self.sampling_rate = sampling_rate
        self.is_averaged_after = is_averaged_after
        self._lots = torch.Generator().manual_seed(seed * rank_count() + rank())
        with torch.no_grad():
            fresh = torch.empty(loss.weight.shape).normal_(std=INITIAL_STD, generator=self._lots)
            loss.weight.copy_(fresh)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss over the batches of all ranks; the same value on every rank.

        Args:
            embeddings: (n, D), this rank's; equally many on every rank.
            labels: (n,) int64, indices among all C classes.

        Raises:
            ShapeError: a shape or dtype is another one, or differs between ranks.
            InputError: a label names no class.
        """
        factor = rank_count() if self.is_averaged_after else 1
        faces, people = scale_gradient(gather_rows(widen(embeddings)), factor), gather_rows(labels)
        size = self.loss.weight.shape[-1]
        check_batch(faces, people, embedding_size=size, class_count=self.class_count)
        columns, own = self._columns(people)
        cosines = Cosines.of(faces, self.loss.weight[columns], own)
        elsewhere = sum_over_ranks(cosines.target)
        cosines = cosines.with_target(torch.where(own >= 0, cosines.target, elsewhere))
        value = sharded_cross_entropy(self.loss.logits(cosines), own)
        if isinstance(self.loss, HasPenalty):
            # Every rank computes the same penalty, and gathering sums their gradients: each gives its part.
            penalty = self.loss.penalty(cosines.lengths)
            value = value + penalty.detach() + (penalty - penalty.detach()) / rank_count()
        return value

    def get_extra_state(self) -> Tensor:
        """Where the lots stand: part of the state, so that a resumed run draws the same ones."""
        return self._lots.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on with the lots there."""
        self._lots.set_state(state.cpu())

    def _columns(self, people: Tensor) -> tuple[Tensor, Tensor]:
        """Which rows of the shard to compare with, and (N,) where among them each face's class is, or -1."""
        first, end = self.class_range
        local = torch.where((people >= first) & (people < end), people - first, -1)
        columns = torch.arange(end - first, device=people.device)
        if self.training and self.sampling_rate < 1:
            columns = sample_classes(
                local, end - first, sampling_rate=self.sampling_rate, generator=self._lots
            )
        place = torch.full((end - first + 1,), -1, device=people.device)  # the last is where -1 looks
        place[columns] = torch.arange(len(columns), device=people.device)
        return columns, place[local]


def shard(class_count: int, part: int, *, part_count: int) -> tuple[int, int]:
    """The first class of a part, and the one after its last: sizes differ by at most one."""
    return part * class_count // part_count, (part + 1) * class_count // part_count


def sample_classes(
    labels: Tensor, class_count: int, *, sampling_rate: float, generator: torch.Generator
) -> Tensor:
    """Sorted classes: all that appear in the labels, and others by lot up to the rate.

    Args:
        labels: (N,) int64, -1 for a class that is not among these.
        class_count: how many there are to choose from.
        sampling_rate: share of them to take, in (0, 1]; more are taken if more appear.
        generator: of the lots, on the CPU.
    """
    lots = torch.rand(class_count, generator=generator).to(labels.device)
    present = torch.unique(labels[labels >= 0])
    lots[present] = 2.0  # above every lot
    count = max(round(sampling_rate * class_count), len(present), 1)
    return lots.topk(count).indices.sort().values


def scale_gradient(values: Tensor, factor: int) -> Tensor:
    """The same values, with a multiplied gradient; any shape."""
    return values.detach() + factor * (values - values.detach())


def sharded_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy over the columns of all ranks: a scalar, the same on every rank.

    Args:
        logits: (N, C_r), this rank's columns.
        labels: (N,) int64, the column of the own class on the rank that has it, -1 on all others.
    """
    # torch gives `apply` no type
    value: Tensor = _ShardedCrossEntropy.apply(logits, labels)  # type: ignore[no-untyped-call]
    return value


class _ShardedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of (N, C_r) logits per rank, each label -1 on all ranks but one."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        """A scalar, the same on every rank. Any: torch gives its context no type."""
        rows = (labels >= 0).nonzero().squeeze(1)
        shifted = logits - max_over_ranks(logits.amax(1))[:, None]
        own = torch.zeros_like(shifted[:, 0])
        own[rows] = shifted[rows, labels[rows]]
        powers = shifted.exp()
        z = sum_over_ranks(powers.sum(1))
        ctx.save_for_backward(powers / z[:, None], rows, labels)
        return (z.log() - sum_over_ranks(own)).mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """(softmax - [j = y]) / N."""
        softmax, rows, labels = ctx.saved_tensors
        slope = softmax.clone()
        slope[rows, labels[rows]] -= 1
        return slope * (grad / len(labels)), None
