"""B-cubed and pairwise figures, worked out by hand."""

import numpy as np
import pytest

from vultus.errors import ShapeError
from vultus.evaluate.clustering import clustering


def test_a_perfect_grouping_has_only_ones_whatever_the_groups_are_called() -> None:
    result = clustering(["Ada", "Ada", "Bob"], [7, 7, "x"])
    assert (result.faces, result.people, result.groups) == (3, 2, 2)
    assert result.bcubed == result.pairwise
    assert (result.bcubed.precision, result.bcubed.recall, result.bcubed.f1) == (1, 1, 1)


def test_one_person_in_two_groups_and_a_stranger_in_one_of_them() -> None:
    """People A A A B B; groups 1 1 2 2 3. B-cubed, face by face:

    precision 2/2 2/2 1/2 1/2 1/1 = 4/5; recall 2/3 2/3 1/3 1/2 1/2 = (5/3 + 1) / 5 = 8/15.
    Pairs: of one person 3 + 1 = 4, in a group 1 + 1 = 2, both 1.
    """
    result = clustering("AAABB", [1, 1, 2, 2, 3])
    assert result.bcubed.precision == pytest.approx(4 / 5)
    assert result.bcubed.recall == pytest.approx(8 / 15)
    assert result.bcubed.f1 == pytest.approx(2 * (4 / 5) * (8 / 15) / (4 / 5 + 8 / 15))
    assert (result.pairwise.precision, result.pairwise.recall) == (1 / 2, 1 / 4)
    assert result.pairwise.f1 == pytest.approx(1 / 3)


def test_everybody_in_one_group_has_full_recall() -> None:
    """Three of A and one of B: precision (3 * 3/4 + 1/4) / 4 = 5/8; pairs 3 of 6."""
    result = clustering("AAAB", [0, 0, 0, 0])
    assert (result.bcubed.precision, result.bcubed.recall) == (5 / 8, 1)
    assert (result.pairwise.precision, result.pairwise.recall) == (1 / 2, 1)


def test_everybody_alone_has_full_precision() -> None:
    result = clustering("AAAB", [0, 1, 2, 3])
    assert (result.bcubed.precision, result.bcubed.recall) == (1, 1 / 2)  # (3 * 1/3 + 1) / 4
    assert (result.pairwise.precision, result.pairwise.recall, result.pairwise.f1) == (1, 0, 0)


def test_the_figures_are_those_of_the_definition() -> None:
    generator = np.random.default_rng(0)
    people, groups = generator.integers(0, 9, 200).tolist(), generator.integers(0, 12, 200).tolist()
    precision, recall = [], []
    for person, group in zip(people, groups, strict=True):
        same = sum(a == person and b == group for a, b in zip(people, groups, strict=True))
        precision.append(same / groups.count(group))
        recall.append(same / people.count(person))
    pairs = [(i, j) for i in range(200) for j in range(i)]
    both = sum(people[i] == people[j] and groups[i] == groups[j] for i, j in pairs)
    result = clustering(people, groups)
    assert result.bcubed.precision == pytest.approx(np.mean(precision))
    assert result.bcubed.recall == pytest.approx(np.mean(recall))
    assert result.pairwise.precision == pytest.approx(both / sum(groups[i] == groups[j] for i, j in pairs))
    assert result.pairwise.recall == pytest.approx(both / sum(people[i] == people[j] for i, j in pairs))


@pytest.mark.parametrize(("people", "groups"), [([1, 2], [1]), ([], [])])
def test_every_face_needs_a_group(people: list[int], groups: list[int]) -> None:
    with pytest.raises(ShapeError, match="a group for each face"):
        clustering(people, groups)
