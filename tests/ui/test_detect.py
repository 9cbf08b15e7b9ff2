"""The Detect tab: what the engine finds, drawn and listed."""

import numpy as np
import pytest

from vultus.errors import InputError, WeightsError
from vultus.image import load_image
from vultus.ui.desk import Desk
from vultus.ui.detect import find_faces


def nothing(done: float, what: str) -> None:
    assert 0 <= done <= 1
    assert what


def test_a_face_is_counted_drawn_and_listed(desk: Desk, album: dict[str, str]) -> None:
    told, picture, rows = find_faces(desk, album["twice"], "mtcnn", 0, 0, False, on_progress=nothing)
    assert "2 faces found" in told
    assert rows.count("<tr>") == 3
    original = load_image(album["twice"])
    assert picture.shape == original.shape
    assert not np.array_equal(picture, original)


def test_no_face_is_an_answer_with_advice(desk: Desk, album: dict[str, str]) -> None:
    told, _, rows = find_faces(desk, album["nobody"], "mtcnn", 0, 0, False, on_progress=nothing)
    assert "No face found" in told
    assert rows == ""


def test_a_size_that_nobody_has_finds_nobody(desk: Desk, album: dict[str, str]) -> None:
    told, *_ = find_faces(desk, album["person"], "retinaface", 0, 200, False, on_progress=nothing)
    assert "No face found" in told


def test_near_misses_say_why(desk: Desk, album: dict[str, str]) -> None:
    told, _, rows = find_faces(desk, album["person"], "retinaface", 0, 190, True, on_progress=nothing)
    assert "No face found" in told
    assert "Nearly a face" in rows
    assert "pixels are less than 190" in rows


def test_a_detector_without_weights_says_so(desk: Desk, album: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match="no weights come with"):
        find_faces(desk, album["person"], "yolov5_face", 0, 0, False, on_progress=nothing)


def test_no_photo_is_asked_for(desk: Desk) -> None:
    with pytest.raises(InputError, match="Choose a photo first"):
        find_faces(desk, None, "mtcnn", 0, 0, False, on_progress=nothing)
