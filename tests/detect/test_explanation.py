"""Near misses: each with its reason, each once, and none that is a face seen again."""

from dataclasses import replace

import numpy as np
import pytest

from vultus.detect.explanation import NearMiss, Reason, checked_floor, near_misses
from vultus.detect.search import Candidates, Search
from vultus.errors import InputError


def candidates(*rows: tuple[float, float, float, float, float]) -> Candidates:
    """Rows of x1 y1 x2 y2 score."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Candidates(table[:, :4], table[:, 4], np.zeros((len(table), 5, 2)))


def test_a_face_is_no_near_miss() -> None:
    assert near_misses(candidates((0, 0, 50, 50, 0.9)), Search()) == ()
    assert near_misses(candidates(), Search()) == ()


def test_what_scores_too_low_says_so() -> None:
    (miss,) = near_misses(candidates((0, 0, 50, 50, 0.9), (100, 0, 150, 50, 0.25)), Search())
    assert miss.reason is Reason.BELOW_MIN_SCORE
    assert miss.explanation == "score 0.250 is below 0.5"
    assert miss.box.tolist() == [100, 0, 150, 50]


def test_what_is_too_small_says_so() -> None:
    (miss,) = near_misses(candidates((0, 0, 15, 50, 0.9)), Search(min_face_px=20))
    assert (miss.reason, miss.size_px) == (Reason.TOO_SMALL, 15)
    assert miss.explanation == "15.0 px is smaller than 20"


def test_what_came_after_enough_faces_says_so() -> None:
    seen = candidates((0, 0, 50, 50, 0.9), (100, 0, 150, 50, 0.95))
    (miss,) = near_misses(seen, Search(max_faces=1))
    assert (miss.reason, miss.score) == (Reason.TOO_MANY, 0.9)
    assert "1 better faces" in miss.explanation


def test_what_another_face_hides_names_it_by_its_position() -> None:
    seen = candidates((200, 0, 300, 100, 0.99), (0, 0, 100, 100, 0.9), (35, 0, 135, 100, 0.8))
    (miss,) = near_misses(seen, Search())
    assert (miss.reason, miss.face) == (Reason.OVERLAPS, 1)
    assert miss.overlap == pytest.approx(65 / 135)
    assert miss.explanation == "overlaps face 1 by 0.48 (at most 0.4)"


def test_what_a_dropped_box_hides_names_no_face() -> None:
    seen = candidates((0, 0, 30, 100, 0.9), (10, 0, 45, 100, 0.8))
    misses = near_misses(seen, Search(min_face_px=33))
    assert [miss.reason for miss in misses] == [Reason.TOO_SMALL, Reason.OVERLAPS]
    assert misses[1].face is None
    assert "a better box" in misses[1].explanation


def test_a_face_seen_again_is_not_told() -> None:
    seen = candidates((0, 0, 100, 100, 0.9), (5, 0, 105, 100, 0.8), (9, 0, 109, 100, 0.3))
    assert near_misses(seen, Search()) == ()


def test_one_near_miss_is_told_once_however_often_it_was_seen() -> None:
    seen = candidates((0, 0, 50, 50, 0.4), (2, 0, 52, 50, 0.3), (1, 1, 51, 51, 0.2))
    (miss,) = near_misses(seen, Search())
    assert miss.score == 0.4
    seen = candidates((0, 0, 100, 100, 0.9), (35, 0, 135, 100, 0.8), (37, 0, 137, 100, 0.7))
    assert [miss.score for miss in near_misses(seen, Search())] == [0.8]


def test_near_misses_come_best_first() -> None:
    seen = candidates((0, 0, 50, 50, 0.2), (100, 0, 115, 50, 0.9), (200, 0, 250, 50, 0.4))
    scores = [miss.score for miss in near_misses(seen, Search(min_face_px=20))]
    assert scores == [0.9, 0.4, 0.2]


def test_overlaps_are_measured_as_the_detector_measures_them() -> None:
    seen = candidates((0, 0, 100, 100, 0.9), (10, 10, 40, 40, 0.8))
    assert near_misses(seen, Search()) == ()  # two faces
    (miss,) = near_misses(seen, Search(overlap="minimum", max_iou=0.7))
    assert (miss.overlap, miss.face) == (1, 0)


def test_a_near_miss_cannot_be_changed() -> None:
    (miss,) = near_misses(candidates((0, 0, 50, 50, 0.25)), Search())
    with pytest.raises(ValueError, match="read-only"):
        miss.box[0] = 1
    assert isinstance(replace(miss, score=0.3), NearMiss)


def test_the_floor_lies_between_0_and_1_and_not_above_the_least_score() -> None:
    assert checked_floor(0.1, min_score=0.5) == 0.1
    assert checked_floor(0.7, min_score=0.5) == 0.5
    for floor in (0, 1, float("nan")):
        with pytest.raises(InputError, match="floor must lie between 0 and 1"):
            checked_floor(floor, min_score=0.5)
