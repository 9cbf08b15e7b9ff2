"""Which candidates are the faces: scores, overlaps, sizes, counts."""

from typing import Any

import numpy as np
import pytest

from vultus.detect.search import Candidates, Search, best, choose, joined, logit, sigmoid
from vultus.errors import InputError


def candidates(*rows: tuple[float, float, float, float, float]) -> Candidates:
    """Rows of x1 y1 x2 y2 score."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Candidates(table[:, :4], table[:, 4], np.zeros((len(table), 5, 2)))


def test_a_score_is_enough_if_it_is_reached() -> None:
    seen = candidates((0, 0, 10, 10, 0.5), (50, 0, 60, 10, 0.4999))
    assert choose(seen, Search(min_score=0.5)).tolist() == [0]


def test_the_better_of_two_that_overlap_stays() -> None:
    seen = candidates((0, 0, 10, 10, 0.6), (1, 0, 11, 10, 0.9), (40, 0, 50, 10, 0.7))
    assert choose(seen, Search()).tolist() == [1, 2]
    assert choose(seen, Search(max_iou=0.9)).tolist() == [1, 2, 0]


def test_overlap_can_be_measured_against_the_smaller_box() -> None:
    seen = candidates((0, 0, 100, 100, 0.9), (10, 10, 40, 40, 0.8))
    assert choose(seen, Search()).tolist() == [0, 1]
    assert choose(seen, Search(overlap="minimum")).tolist() == [0]


def test_small_faces_go_by_their_shorter_side_and_after_suppression() -> None:
    seen = candidates((0, 0, 19, 40, 0.9), (1, 0, 21, 40, 0.8), (50, 0, 70, 40, 0.7))
    assert choose(seen, Search(min_face_px=20)).tolist() == [2]  # the first hides the second, then goes


def test_of_many_faces_the_best_stay() -> None:
    seen = candidates((0, 0, 9, 9, 0.6), (20, 0, 29, 9, 0.9), (40, 0, 49, 9, 0.7))
    assert choose(seen, Search(max_faces=2)).tolist() == [1, 2]
    assert best(seen, 2).scores.tolist() == [0.9, 0.7]
    assert best(seen, 3).scores.tolist() == [0.6, 0.9, 0.7]


def test_no_candidates_are_no_faces() -> None:
    assert len(choose(candidates(), Search())) == 0


def test_candidates_join_in_order() -> None:
    both = joined([candidates((0, 0, 1, 1, 0.1)), candidates(), candidates((2, 2, 3, 3, 0.2))])
    assert both.scores.tolist() == [0.1, 0.2]
    assert both.landmarks.shape == (2, 5, 2)


@pytest.mark.parametrize("score", [1e-9, 0.02, 0.5, 0.9, 1 - 1e-9])
def test_logits_and_scores_are_inverse(score: float) -> None:
    assert sigmoid(np.array([logit(score)]))[0] == pytest.approx(score, rel=1e-6)


def test_extreme_logits_do_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == [0, 0.5, 1]


def test_faces_of_which_a_network_is_all_but_certain_keep_their_order() -> None:
    scores = sigmoid(np.array([18, 20, 19], np.float32))
    assert np.argsort(-scores).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 0}, "min_score must lie between 0 and 1, got 0"),
        ({"min_score": 1.0}, "min_score"),
        ({"max_iou": float("nan")}, "max_iou must lie"),
        ({"max_faces": 0}, "max_faces must be at least 1, or None, got 0"),
        ({"longest_px": -1}, "longest_px must be at least 1, or None"),
        ({"min_face_px": 0.5}, "min_face_px must be at least 1, got 0.5"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Search(**options)
