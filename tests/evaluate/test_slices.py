"""Error rates by group, against a loop over every pair; small groups say so."""

from itertools import combinations

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.evaluate import by_gap, by_range, by_turn, by_value, rates_by_group
from vultus.types import Embeddings


def faces(people: int, each: int, *, seed: int = 0) -> tuple[Embeddings, list[int]]:
    chance = np.random.default_rng(seed)
    centres = np.repeat(chance.normal(size=(people, 6)), each, axis=0)
    vectors = centres + 0.7 * chance.normal(size=centres.shape)
    unit = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
    return unit, [i // each for i in range(people * each)]


def index(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array(numbers, dtype=np.intp)


def test_pairs_belong_to_groups_by_hand() -> None:
    left, right = index(0, 0, 1), index(1, 2, 2)
    same = by_value(["b", "b", ""])
    assert same.names == ("b", "unknown")
    assert same.of_pairs(left, right).tolist() == [0, -1, -1]
    ages = by_range([17, 18, 70], [18, 60])
    assert ages.names == ("below 18", "18 to 60", "from 60")
    assert ages.of_pairs(index(0, 1, 2, 0), index(0, 1, 2, 1)).tolist() == [0, 1, 2, -1]
    gaps = by_gap([20, 24, 50], [5, 26])
    assert gaps.names == ("below 5 apart", "5 to 26 apart", "from 26 apart")
    assert gaps.of_pairs(left, right).tolist() == [0, 2, 2]
    turned = by_turn([0.1, -0.4, np.inf])
    assert turned.of_pairs(index(0, 0, 1, 2), index(0, 1, 2, 0)).tolist() == [0, 2, 3, 3]


def test_against_a_loop_over_every_pair() -> None:
    embeddings, owners = faces(60, 10)  # 600 images: more than one block
    values = ["ab"[owner % 2] for owner in owners]
    values[5] = "b"  # an image of person 0 with the other value: metadata belongs to images
    found = rates_by_group(embeddings, owners, grouping=by_value(values), threshold=0.5)
    assert [group.name for group in found] == ["a", "b"]
    similarities = embeddings @ embeddings.T
    for group in found:
        genuine: list[bool] = []
        impostor: list[bool] = []
        for i, j in combinations(range(len(owners)), 2):
            if values[i] == values[j] == group.name:
                (genuine if owners[i] == owners[j] else impostor).append(bool(similarities[i, j] >= 0.5))
        assert (group.n_genuine, group.n_impostors) == (len(genuine), len(impostor))
        assert group.fmr == pytest.approx(np.mean(impostor), abs=1e-4)
        assert group.fnmr == pytest.approx(1 - np.mean(genuine), abs=2e-3)
        assert group.fmr_interval is not None
        assert group.fmr_interval.low < np.mean(impostor) < group.fmr_interval.high
        assert group.fnmr_interval is not None
        assert group.fnmr_interval.low < 1 - np.mean(genuine) < group.fnmr_interval.high
        assert group.warnings == ()


def test_a_group_that_is_worse_is_seen_to_be() -> None:
    """Half of the people are drawn close together: strangers among them match far more often."""
    embeddings, owners = faces(60, 6, seed=2)
    crowd = np.array(owners) < 30
    embeddings[crowd] += np.array([1.0, 0, 0, 0, 0, 0], np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    values = ["crowd" if one else "others" for one in crowd]
    worse, better = rates_by_group(embeddings, owners, grouping=by_value(values), threshold=0.6)
    assert worse.fmr_interval is not None
    assert better.fmr_interval is not None
    assert worse.fmr_interval.low > better.fmr_interval.high


def test_small_groups_say_so_and_an_empty_one_has_no_rate() -> None:
    embeddings, owners = faces(4, 3)
    groups = rates_by_group(embeddings, owners, grouping=by_range([30] * 12, [18, 60]), threshold=0.5)
    assert [group.n_genuine for group in groups] == [0, 12, 0]
    empty, few, _ = groups
    assert (empty.fmr, empty.fnmr, empty.fmr_interval, empty.n_people) == (None, None, None, 0)
    assert few.warnings[:2] == ("4 people, fewer than 20", "12 genuine pairs, fewer than 100")
    two, owners_of_two = faces(2, 3)
    (pair,) = rates_by_group(two, owners_of_two, grouping=by_value(["x"] * 6), threshold=0.99)
    assert pair.fmr == 0
    assert pair.fmr_interval is not None
    assert pair.fmr_interval.high > 0.2  # nine pairs without a false match show little


def test_every_pair_is_in_one_of_the_groups_of_turn() -> None:
    embeddings, owners = faces(30, 4)
    turns = np.random.default_rng(0).uniform(-1, 1, 120)
    groups = rates_by_group(embeddings, owners, grouping=by_turn(turns), threshold=0.5)
    assert sum(group.n_genuine + group.n_impostors for group in groups) == 120 * 119 // 2


def test_what_does_not_fit_is_refused() -> None:
    embeddings, owners = faces(3, 2)
    with pytest.raises(ShapeError, match="an identity for each"):
        rates_by_group(embeddings, owners[1:], grouping=by_value(["a"] * 6), threshold=0.5)
    for edges in ([], [2, 1], [1, 1]):
        with pytest.raises(InputError, match="must rise"):
            by_range([1, 2], edges)
    with pytest.raises(InputError, match="expected numbers, got nan"):
        by_gap([1, float("nan")], [1])
