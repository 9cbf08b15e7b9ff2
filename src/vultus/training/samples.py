"""Which sample is seen when: everything about it is a function of the seed, the epoch and its place.

So a run can be resumed at the very sample, by any number of processes, without keeping the state of a random
generator anywhere: `chance_of(seed, draw)` makes the generator of one sample. torchdata's loader remembers
which batch comes next, also while worker processes are some batches ahead.
"""

import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from torchdata.stateful_dataloader import StatefulDataLoader

from vultus.errors import InputError


class Draw(NamedTuple):
    """One sample as it is drawn.

    Attributes:
        epoch: from 0.
        batch: of the epoch, from 0: samples of one batch can share a choice, such as the size of the images.
        sample: its index.
    """

    epoch: int
    batch: int
    sample: int


class Samples(Protocol):
    """What a run learns from. It can be pickled: processes that prepare samples get a copy."""

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def batch(self, draws: Sequence[Draw]) -> Any:
        """The samples of one step, as the learner wants them: the same draws always give the same numbers."""
        ...


Plan = Callable[[int], Sequence[Sequence[int]]]
"""Epoch -> the indices of each batch (of all processes together); always the same for one epoch."""


def shuffled(count: int, batch_size: int, *, seed: int, drop_last: bool = False) -> Plan:
    """Every sample once in an epoch, in an order of the epoch's own.

    Raises:
        InputError: there are no samples, or fewer than one batch where the last is dropped.
    """
    if count < 1 or (drop_last and count < batch_size):
        raise InputError(f"{count} samples do not make a batch of {batch_size}")

    def plan(epoch: int) -> list[list[int]]:
        order = np.random.default_rng((seed, epoch)).permutation(count).tolist()
        batches = [order[i : i + batch_size] for i in range(0, count, batch_size)]
        return batches[:-1] if drop_last and len(batches[-1]) < batch_size else batches

    return plan


def chance_of(seed: int, draw: Draw) -> np.random.Generator:
    """The random generator of one drawn sample."""
    return np.random.default_rng((seed, *draw))


def chance_of_batch(seed: int, draw: Draw) -> np.random.Generator:
    """The random generator that all samples of one batch share, on every process."""
    return np.random.default_rng((seed, draw.epoch, draw.batch))


class PlannedBatches:
    """A batch sampler: what one process draws in one epoch.

    Each process takes every `rank_count`-th sample of a batch, so all processes together see what one would.

    Attributes:
        epoch: which epoch is drawn; set it before iterating.
        skipped: batches of that epoch that are left out at its beginning.
    """

    def __init__(self, plan: Plan, *, rank: int = 0, rank_count: int = 1) -> None:
        self.epoch = 0
        self.skipped = 0
        self._plan = lru_cache(maxsize=1)(plan)  # asked for its length and for its batches
        self._rank = rank
        self._rank_count = rank_count

    def __len__(self) -> int:
        """Batches of the epoch, those that are skipped too."""
        return len(self._plan(self.epoch))

    def __iter__(self) -> Iterator[list[Draw]]:
        for number, batch in enumerate(self._plan(self.epoch)):
            if number < self.skipped:
                continue
            if len(batch) < self._rank_count:
                raise InputError(
                    f"batch {number} of epoch {self.epoch} has {len(batch)} samples for {self._rank_count} "
                    "processes: take a larger batch, or drop the last one"
                )
            yield [Draw(self.epoch, number, sample) for sample in batch[self._rank :: self._rank_count]]


class Drawn:
    """`Samples` as torch's loaders want a data set: asked for all draws of a batch at once."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: Draw) -> Any:
        return self._samples.batch([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> Any:
        return self._samples.batch(draws)


def make_loader(samples: Samples, batches: PlannedBatches, *, workers: int) -> StatefulDataLoader[Any]:
    """The loader of one process. Its state tells where it is, to a loader with as many workers.

    Workers are started afresh: a fork would copy the locks that threads of ONNX Runtime or OpenCV hold, and
    could wait for them for ever.
    """
    with warnings.catch_warnings():
        # torchdata 0.11 calls something that torch 2.13 no longer wants to be called
        warnings.filterwarnings("ignore", "'set_vital' is deprecated", UserWarning)
        return StatefulDataLoader(
            Drawn(samples),
            batch_sampler=batches,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            collate_fn=_unchanged,
            persistent_workers=workers > 0,
            worker_init_fn=_begin_worker,
        )


def _unchanged(batch: Any) -> Any:
    """Samples bring their own collation."""
    return batch


def _begin_worker(_number: int) -> None:
    """A worker leaves Ctrl-C to the process that it works for, and takes one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
