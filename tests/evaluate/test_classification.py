"""Closed-set figures, by hand and against a loop."""

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.evaluate import classification
from vultus.evaluate.classification import NO_ANSWER, nearest_person

# person 0: 3 of 4 right, one taken for 1; person 1: 1 of 2 right, one without a face; person 2: right
ACTUAL = [0, 0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 0, 1, 1, NO_ANSWER, 2]


def test_the_figures_by_hand() -> None:
    result = classification(ACTUAL, PREDICTED, people=3)
    assert result.confusion.tolist() == [[3, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    assert result.accuracy == 5 / 7
    assert result.precision.tolist() == [1.0, 0.5, 1.0]
    assert result.recall.tolist() == [0.75, 0.5, 1.0]
    np.testing.assert_allclose(result.f1, [6 / 7, 0.5, 1.0])
    assert result.macro.precision == pytest.approx(2.5 / 3)
    assert result.macro.recall == pytest.approx(2.25 / 3)
    assert (result.micro.precision, result.micro.recall) == (5 / 6, 5 / 7)  # six answers to seven images
    assert result.micro.f1 == pytest.approx(2 * (5 / 6) * (5 / 7) / (5 / 6 + 5 / 7))


def test_where_every_image_gets_an_answer_the_micro_figures_are_the_accuracy() -> None:
    result = classification(ACTUAL, [0, 1, 2, 1, 1, 1, 2], people=3)
    assert result.micro.precision == result.micro.recall == result.accuracy
    assert result.micro.f1 == pytest.approx(result.accuracy)


def test_a_person_nobody_was_taken_for_has_precision_zero() -> None:
    result = classification([0, 1], [0, 0], people=2)
    assert result.precision.tolist() == [0.5, 0.0]
    assert result.f1.tolist() == [pytest.approx(2 / 3), 0.0]


@pytest.mark.parametrize("seed", range(3))
def test_against_counting_one_by_one(seed: int) -> None:
    chance = np.random.default_rng(seed)
    actual = np.concatenate([np.arange(6), chance.integers(0, 6, 60)])
    predicted = chance.integers(-1, 6, 66)
    result = classification(actual, predicted, people=6)
    for person in range(6):
        pairs = list(zip(actual.tolist(), predicted.tolist(), strict=True))
        right = sum(a == p == person for a, p in pairs)
        taken, shown = sum(p == person for _, p in pairs), sum(a == person for a, _ in pairs)
        assert result.precision[person] == pytest.approx(right / taken if taken else 0)
        assert result.recall[person] == pytest.approx(right / shown)
    assert result.accuracy == pytest.approx(np.mean(actual == predicted))


def test_the_closest_enrolled_face_decides() -> None:
    gallery = np.array([[1, 0], [0, 1], [0.6, 0.8]])
    probes = np.array([[0.9, 0.1], [0.5, 0.9], [0, 0]])
    has_face = np.array([True, True, False])
    found = nearest_person(gallery, [5, 6, 5], probes=probes, has_face=has_face)
    assert found.tolist() == [5, 5, NO_ANSWER]


def test_what_is_no_answer_is_refused() -> None:
    for actual, predicted in (([], []), ([0, 1], [0])):
        with pytest.raises(ShapeError, match="an answer for each image"):
            classification(actual, predicted, people=2)
    for actual, predicted in (([0, 2], [0, 1]), ([0, 1], [0, -2]), ([-1, 1], [0, 1])):
        with pytest.raises(InputError, match="numbers of people from 0 to 1"):
            classification(actual, predicted, people=2)
    with pytest.raises(InputError, match="no image of person 1"):
        classification([0], [0], people=2)
