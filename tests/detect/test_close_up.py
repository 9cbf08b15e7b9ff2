"""The second look at large images: each look tells the faces that it is good at."""

import numpy as np

from vultus.detect.close_up import OVERLAP, merged
from vultus.detect.search import Candidates


def candidates(*rows: tuple[float, float, float, float, float]) -> Candidates:
    """Rows of x1 y1 x2 y2 score."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Candidates(table[:, :4], table[:, 4], np.zeros((len(table), 5, 2)))


def square(side: float, score: float = 0.9, at: float = 0) -> tuple[float, float, float, float, float]:
    return at, at, at + side, at + side, score


def told(first: Candidates, second: Candidates, *, input_px: int = 1280, image_px: int = 1280) -> list[float]:
    """The sides of the boxes of both looks, those of the first one first."""
    both = merged(first, second, input_px=input_px, image_px=image_px)
    return [float(x2 - x1) for x1, _, x2, _ in both.boxes]


def test_large_faces_are_told_by_the_second_look_and_others_by_the_first() -> None:
    """A second input a quarter as large tells faces of 56 px there, 224 px here."""
    first = candidates(square(20), square(240, at=2000), square(400, at=5000))
    second = candidates(square(220, at=9000), square(224, at=8000), square(1000, at=6000))
    assert told(first, second) == [20, 240, 224, 1000]
    assert told(candidates(square(224 * OVERLAP)), candidates()) == []


def test_sizes_count_in_pixels_of_the_first_input() -> None:
    assert told(candidates(square(480)), candidates(square(448)), image_px=2560) == [480, 448]
    assert told(candidates(square(480)), candidates(square(448)), image_px=1280) == [448]


def test_very_large_inputs_leave_to_the_first_look_what_it_reaches() -> None:
    """At 12,800 px the second look is 40 times smaller: a face of 400 px has 10 there."""
    first = candidates(square(390), square(520, at=3000))
    second = candidates(square(399, at=6000), square(500, at=8000))
    assert told(first, second, input_px=12800, image_px=12800) == [390, 500]


def test_an_eye_within_a_better_face_of_the_second_look_goes() -> None:
    face = candidates((0, 0, 1000, 1200, 0.95))
    assert told(candidates((200, 300, 400, 500, 0.9)), face) == [1000]
    assert told(candidates((200, 300, 400, 500, 0.97)), face) == [200, 1000]  # surer than the face
    assert told(candidates((950, 300, 1150, 500, 0.9)), face) == [200, 1000]  # mostly outside of it
