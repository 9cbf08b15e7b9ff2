"""Which samples make which batch: each once in an epoch, whoever shares the batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from vultus.errors import InputError
from vultus.training.data.mtcnn_batches import MtcnnSamples
from vultus.training.data.mtcnn_crops import MtcnnCrops
from vultus.training.samples import (
    Draw,
    PlannedBatches,
    chance_of,
    chance_of_batch,
    make_loader,
    shuffled,
)


def test_an_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    plan = shuffled(10, 4, seed=3)
    first, second = plan(0), plan(1)
    assert [len(batch) for batch in first] == [4, 4, 2]
    for epoch in (first, second):
        assert sorted(sample for batch in epoch for sample in batch) == list(range(10))
    assert first != second
    assert plan(0) == first
    assert shuffled(10, 4, seed=4)(0) != first


def test_what_is_left_over_can_be_dropped() -> None:
    assert [len(batch) for batch in shuffled(10, 4, seed=0, drop_last=True)(0)] == [4, 4]
    assert [len(batch) for batch in shuffled(8, 4, seed=0, drop_last=True)(0)] == [4, 4]


@pytest.mark.parametrize(("count", "drop_last"), [(0, False), (3, True)])
def test_too_few_samples_are_refused(count: int, drop_last: bool) -> None:
    with pytest.raises(InputError, match=f"{count} samples do not make a batch of 4"):
        shuffled(count, 4, seed=0, drop_last=drop_last)


def test_processes_share_each_batch() -> None:
    plan = shuffled(11, 4, seed=0)
    ranks = [list(PlannedBatches(plan, rank=rank, rank_count=2)) for rank in range(2)]
    for number, batch in enumerate(plan(0)):
        shared = [draw for rank in ranks for draw in rank[number]]
        assert sorted(draw.sample for draw in shared) == sorted(batch)
        assert {(draw.epoch, draw.batch) for draw in shared} == {(0, number)}


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(InputError, match="batch 1 of epoch 0 has 1 samples for 2 processes"):
        list(PlannedBatches(shuffled(5, 4, seed=0), rank=0, rank_count=2))


def test_skipped_batches_keep_their_number() -> None:
    batches = PlannedBatches(shuffled(10, 4, seed=0))
    batches.epoch, batches.skipped = 2, 1
    assert [batch[0].batch for batch in batches] == [1, 2]
    assert len(batches) == 3


def test_chance_is_a_function_of_seed_and_draw() -> None:
    draw = Draw(1, 2, 3)
    values = [chance_of(0, draw).random(), chance_of(1, draw).random()]
    values += [chance_of(0, other).random() for other in (Draw(2, 2, 3), Draw(1, 3, 3), Draw(1, 2, 4))]
    assert len(set(values)) == 5
    assert chance_of(0, draw).random() == values[0]


def test_a_batch_shares_its_chance() -> None:
    chances = [chance_of_batch(0, Draw(1, 2, sample)).random() for sample in range(3)]
    assert len(set(chances)) == 1
    assert chance_of_batch(0, Draw(1, 3, 0)).random() != chances[0]


def test_an_epoch_is_planned_once_however_often_it_is_asked_for() -> None:
    planned: list[int] = []

    def plan(epoch: int) -> list[list[int]]:
        planned.append(epoch)
        return [[epoch]]

    batches = PlannedBatches(plan)
    for epoch in range(2):
        batches.epoch = epoch
        assert len(batches) == 1
        assert list(batches) == [[Draw(epoch, 0, epoch)]]
    assert planned == [0, 1]


class Told:
    """Samples that are their own draws."""

    def __len__(self) -> int:
        return 10

    def batch(self, draws: Sequence[Draw]) -> Any:
        return np.array(draws)


def test_a_loader_asks_for_whole_batches_and_goes_on_where_another_was() -> None:
    batches = PlannedBatches(shuffled(10, 3, seed=0))
    batches.epoch = 5
    loader = make_loader(Told(), batches, workers=0)
    first = iter(loader)
    seen = [next(first).tolist() for _ in range(2)]
    again = make_loader(Told(), batches, workers=0)
    again.load_state_dict(loader.state_dict())
    seen += [batch.tolist() for batch in again]
    assert seen == [[list(draw) for draw in batch] for batch in batches]


def test_workers_prepare_the_very_same_batches_and_are_no_forks() -> None:
    crops = MtcnnCrops(
        images=np.ones((10, 3, 12, 12), np.uint8),
        kinds=np.zeros(10, np.int8),
        offsets=np.ones((10, 4), np.float32),
        landmarks=np.ones((10, 10), np.float32),
        mirror_shifts=np.zeros(10, np.float32),
    )
    samples, batches = MtcnnSamples([crops], seed=0), PlannedBatches(shuffled(10, 4, seed=0))
    loader = make_loader(samples, batches, workers=1)
    assert loader.multiprocessing_context.get_start_method() == "spawn"  # a fork copies the locks of threads
    ours = list(make_loader(samples, batches, workers=0))
    assert len(ours) == 3
    for made, expected in zip(loader, ours, strict=True):
        assert torch.equal(made.images, expected.images)
        assert torch.equal(made.targets.offsets, expected.targets.offsets)
