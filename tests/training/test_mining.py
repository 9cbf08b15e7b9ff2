"""Mining: each rule chooses exactly what its inequality says: against a triple loop, and an oracle."""

import math
from collections.abc import Callable

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from torch import Tensor

from vultus.errors import ShapeError
from vultus.training.mining import (
    Miner,
    Triplets,
    hardest_triplets,
    random_triplets,
    semi_hard_triplets,
    violating_triplets,
)

MINERS = [random_triplets, hardest_triplets, semi_hard_triplets, violating_triplets]
SQUARED = LpDistance(power=2)


def batch(count: int = 14) -> tuple[Tensor, Tensor]:
    embeddings = torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return embeddings, torch.arange(count) % 4


def as_set(triplets: Triplets) -> set[tuple[int, ...]]:
    rows = list(zip(*(part.tolist() for part in triplets), strict=True))
    assert len(set(rows)) == len(rows), "no triplet twice"
    return set(rows)


def by_loop(embeddings: Tensor, labels: Tensor, rule: Callable[[float, float], bool]) -> set[tuple[int, ...]]:
    unit = [[value / math.hypot(*row) for value in row] for row in embeddings.tolist()]
    count, who = len(unit), labels.tolist()
    return {
        (a, p, n)
        for a in range(count)
        for p in range(count)
        for n in range(count)
        if a != p and who[a] == who[p] != who[n]
        if rule(math.dist(unit[a], unit[p]) ** 2, math.dist(unit[a], unit[n]) ** 2)
    }


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0])
def test_semi_hard_negatives_are_farther_than_the_positive_by_less_than_the_margin(alpha: float) -> None:
    mined = as_set(semi_hard_triplets(*batch(), margin_squared_l2=alpha))
    assert mined
    assert mined == by_loop(*batch(), lambda ap, an: ap < an < ap + alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0])
def test_violators_are_all_with_a_loss(alpha: float) -> None:
    mined = as_set(violating_triplets(*batch(), margin_squared_l2=alpha))
    assert mined
    assert mined == by_loop(*batch(), lambda ap, an: an < ap + alpha)


def test_semi_hard_is_a_part_of_the_violators_and_not_all() -> None:
    assert as_set(semi_hard_triplets(*batch())) < as_set(violating_triplets(*batch()))


@pytest.mark.parametrize(
    ("miner", "name"),
    [(semi_hard_triplets, "semihard"), (violating_triplets, "all")],
    ids=["semi-hard", "all"],
)
def test_pytorch_metric_learning_mines_the_same(miner: Miner, name: str) -> None:
    theirs = TripletMarginMiner(margin=0.2, type_of_triplets=name, distance=SQUARED)(*batch())
    assert as_set(miner(*batch(), margin_squared_l2=0.2)) == as_set(Triplets(*theirs))


def test_plain_distances_would_choose_others() -> None:
    theirs = TripletMarginMiner(margin=0.2, type_of_triplets="semihard", distance=LpDistance())(*batch())
    assert as_set(semi_hard_triplets(*batch(), margin_squared_l2=0.2)) != as_set(Triplets(*theirs))


def test_the_hardest_are_the_farthest_positive_and_the_nearest_negative() -> None:
    theirs = BatchHardMiner(distance=SQUARED)(*batch())
    assert as_set(hardest_triplets(*batch())) == as_set(Triplets(*theirs))


def test_random_takes_every_pair_once_with_any_negative() -> None:
    embeddings, labels = batch()
    pairs = {(a, p) for a, p, _ in by_loop(embeddings, labels, lambda *_: True)}
    seen = set()
    for seed in range(200):
        mined = random_triplets(embeddings, labels, generator=torch.Generator().manual_seed(seed))
        rows = as_set(mined)
        assert len(rows) == len(pairs)
        assert {(a, p) for a, p, _ in rows} == pairs
        assert (labels[mined.anchors] != labels[mined.negatives]).all()
        seen |= rows
    assert seen == by_loop(embeddings, labels, lambda *_: True), "every negative has a chance"


def test_random_repeats_with_its_generator() -> None:
    first, second = (random_triplets(*batch(), generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert as_set(first) == as_set(second)


def test_distances_are_not_blurred_near_zero() -> None:
    """Two faces 1e-4 and 2e-4 from the anchor: in float32, 2 - 2 cos cannot tell them apart."""
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 1e-4], [1.0, -2e-4]])
    labels = torch.tensor([0, 0, 1])
    assert (0, 1, 2) in as_set(semi_hard_triplets(embeddings, labels, margin_squared_l2=1e-6))


@pytest.mark.parametrize("miner", MINERS)
def test_a_person_with_one_picture_is_nobodys_positive(miner: Miner) -> None:
    embeddings, _ = batch(5)
    mined = miner(embeddings, torch.tensor([0, 0, 1, 2, 3]), margin_squared_l2=5.0)
    assert set(mined.anchors.tolist()) <= {0, 1}
    assert not (mined.anchors == mined.positives).any()


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize(
    "labels", [[0, 0, 0], [0, 1, 2], [1]], ids=["one person", "all different", "one picture"]
)
def test_no_triplet_is_an_empty_answer(miner: Miner, labels: list[int]) -> None:
    mined = miner(torch.randn(len(labels), 3), torch.tensor(labels))
    assert [part.shape for part in mined] == [(0,), (0,), (0,)]
    assert [part.dtype for part in mined] == [torch.int64] * 3


@pytest.mark.parametrize("miner", MINERS)
def test_mining_keeps_no_graph(miner: Miner) -> None:
    embeddings, labels = batch()
    assert not any(part.requires_grad for part in miner(embeddings.requires_grad_(), labels))


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize(
    "labels", [torch.arange(13), torch.ones(14), torch.ones(14, 1).long()], ids=["count", "dtype", "rank"]
)
def test_labels_that_do_not_fit_are_refused(miner: Miner, labels: Tensor) -> None:
    with pytest.raises(ShapeError, match="labels must be int64"):
        miner(batch()[0], labels)
