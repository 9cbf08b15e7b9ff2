"""Average linkage agrees with joining one pair after the other, and keeps apart what must stay apart."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.cluster.linkage import link
from vultus.errors import InputError, ShapeError
from vultus.types import Embeddings


def unit_rows(
    count: int, *, seed: int, dimension: int = 6, people: int = 0, spread: float = 0.35
) -> Embeddings:
    """Random directions, or faces around a direction for each of some people."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, dimension))
    if people:
        rows = generator.normal(size=(people, dimension))[np.arange(count) % people] + spread * rows
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def one_by_one(
    rows: Embeddings, least: float, start: list[int], apart: list[tuple[int, int]]
) -> set[frozenset[int]]:
    """The closest two groups are joined, again and again, from the definition."""
    scores = rows.astype(np.float64) @ rows.astype(np.float64).T
    groups = [{row for row, label in enumerate(start) if label == one} for one in dict.fromkeys(start)]
    while True:
        allowed = [
            (scores[np.ix_(list(first), list(second))].mean(), number, other)
            for (number, first), (other, second) in combinations(enumerate(groups), 2)
            if not any((a in first and b in second) or (b in first and a in second) for a, b in apart)
        ]
        best = max(allowed, default=(-2.0, 0, 0))
        if best[0] < least:
            return {frozenset(group) for group in groups}
        groups[best[1]] |= groups.pop(best[2])


def as_sets(groups: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == one).tolist()) for one in set(groups.tolist())}


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 14),
    least=st.sampled_from([-0.2, 0.1, 0.4, 0.7]),
    people=st.integers(0, 5),
    started=st.integers(0, 6),
    separated=st.integers(0, 12),
)
def test_all_mutual_pairs_at_once_give_what_one_after_the_other_gives(
    seed: int, count: int, least: float, people: int, started: int, separated: int
) -> None:
    rows = unit_rows(count, seed=seed, people=people)
    generator = np.random.default_rng(seed)
    start = np.arange(count)
    start[generator.integers(0, count, started)] = count
    apart = [(int(a), int(b)) for a, b in generator.integers(0, count, (separated, 2)) if a != b]
    groups = link(rows, min_similarity=least, start=start, apart=apart)
    assert as_sets(groups) == one_by_one(rows, least, start.tolist(), apart)


def test_the_order_of_the_rows_makes_no_difference() -> None:
    rows = unit_rows(300, seed=3, dimension=32, people=25, spread=0.4)
    order = np.random.default_rng(1).permutation(len(rows))
    shuffled = link(rows[order], min_similarity=0.4)
    back = {frozenset(order[list(group)].tolist()) for group in as_sets(shuffled)}
    straight = as_sets(link(rows, min_similarity=0.4))
    assert 10 < len(straight) < 200
    assert back == straight


def test_a_group_is_called_after_its_first_row() -> None:
    rows = unit_rows(4, seed=0, people=2, spread=0.05)
    assert link(rows, min_similarity=0.8).tolist() == [0, 1, 0, 1]


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(90, seed=5, people=8)
    whole = link(rows, min_similarity=0.3, apart=[(0, 8), (1, 9)])
    monkeypatch.setattr("vultus.cluster.linkage.BLOCK", 7)
    assert (link(rows, min_similarity=0.3, apart=[(0, 8), (1, 9)]) == whole).all()


def test_equal_faces_are_joined_for_all_that_rounding_does() -> None:
    one = unit_rows(1, seed=0, dimension=128)
    assert set(link(np.repeat(one, 40, axis=0), min_similarity=0.9).tolist()) == {0}


def test_what_must_stay_apart_stays_apart_through_others() -> None:
    """0 and 1 are equal and apart; 2 may go to one of them only."""
    rows = np.repeat(unit_rows(1, seed=0), 3, axis=0)
    groups = link(rows, min_similarity=0.5, apart=[(1, 0)])
    assert groups[0] != groups[1]
    assert groups[2] in {groups[0], groups[1]}


def test_what_was_put_together_stays_so_even_against_what_is_apart() -> None:
    rows = np.array([[1, 0], [-1, 0], [0, 1]], np.float32)
    groups = link(rows, min_similarity=0.9, start=[5, 5, 3], apart=[(0, 1)])
    assert groups.tolist() == [0, 0, 2]


def test_the_threshold_itself_is_enough() -> None:
    rows = np.array([[1, 0], [0.6, 0.8]], np.float32)
    assert link(rows, min_similarity=float(rows[0] @ rows[1])).tolist() == [0, 0]
    assert link(rows, min_similarity=0.61).tolist() == [0, 1]


def test_no_faces_are_no_groups() -> None:
    assert link(np.zeros((0, 8), np.float32), min_similarity=0.5).tolist() == []


def test_nonsense_is_refused() -> None:
    rows = unit_rows(3, seed=0)
    with pytest.raises(InputError, match=r"between -1 and 1, got 1\.5"):
        link(rows, min_similarity=1.5)
    with pytest.raises(ShapeError, match=r"\(N, D\)"):
        link(rows[0], min_similarity=0.5)
    with pytest.raises(ShapeError, match=r"start must have shape \(3,\)"):
        link(rows, min_similarity=0.5, start=[0, 1])
    with pytest.raises(ShapeError, match="rows from 0 to 2"):
        link(rows, min_similarity=0.5, apart=[(0, 3)])
