"""Plates stay in the image, keep off each other and off faces while there is room, and fit their text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.draw.plates import Plate, place_plates
from vultus.types import FloatArray


def placed(
    texts: list[str], frames: list[tuple[float, float, float, float]], size_hw: tuple[int, int]
) -> list[Plate]:
    return list(place_plates(texts, np.array(frames, np.float32).reshape(-1, 4), size_hw=size_hw))


def shared_area(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def test_a_plate_stands_above_its_face_and_starts_where_the_face_does() -> None:
    (plate,) = placed(["Anna"], [(200, 200, 300, 320)], (600, 800))
    x1, _, _, y2 = plate.edges
    assert plate.face == 0
    assert x1 == 200
    assert 185 < y2 <= 200


@pytest.mark.parametrize(
    ("frame", "side"),
    [((200, 0, 300, 120), "below"), ((0, 0, 800, 600), "within"), ((250, 0, 420, 600), "beside")],
)
def test_where_there_is_no_room_above_the_plate_goes_elsewhere(
    frame: tuple[float, float, float, float], side: str
) -> None:
    (plate,) = placed(["Anna"], [frame], (600, 800))
    x1, y1, x2, y2 = plate.edges
    where = {"below": y1 >= frame[3], "within": shared_area(plate.edges, frame) > 0, "beside": x1 >= frame[2]}
    assert where[side]
    assert x1 >= 0
    assert y1 >= 0
    assert x2 <= 800
    assert y2 <= 600


def test_neighbours_do_not_cover_each_others_names_or_faces() -> None:
    frames = [(100.0 + 130 * i, 200.0, 200.0 + 130 * i, 320.0) for i in range(5)]
    plates = placed(["Maximiliane Musterfrau"] * 5, frames, (600, 800))
    assert len(plates) == 5
    for i, plate in enumerate(plates):
        assert all(shared_area(plate.edges, frame) == 0 for frame in frames)
        assert all(shared_area(plate.edges, other.edges) == 0 for other in plates[:i])


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_blank_text_gets_no_plate(text: str) -> None:
    assert placed([text, "Anna"], [(0, 50, 50, 99), (60, 50, 99, 99)], (200, 200))[0].face == 1


def test_lines_are_joined() -> None:
    (joined,) = placed(["Anna\n Berta"], [(10, 50, 90, 99)], (200, 200))
    (plain,) = placed(["Anna Berta"], [(10, 50, 90, 99)], (200, 200))
    np.testing.assert_array_equal(joined.ink, plain.ink)


def test_text_that_is_wider_than_the_image_is_cut_to_it() -> None:
    (plate,) = placed(["Maximiliane " * 40], [(10, 50, 90, 99)], (200, 200))
    assert plate.edges[2] - plate.edges[0] <= 200
    assert plate.ink.shape[1] > 100


@pytest.mark.parametrize("size_hw", [(1, 1), (5, 400), (400, 5)])
def test_an_image_that_cannot_hold_a_plate_gets_none(size_hw: tuple[int, int]) -> None:
    assert placed(["Anna"], [(0, 0, 1, 1)], size_hw) == []


def test_text_follows_the_image_and_gives_way_to_small_faces() -> None:
    (small,) = placed(["Anna"], [(500, 500, 540, 550)], (2000, 3000))
    (large,) = placed(["Anna"], [(500, 500, 900, 1000)], (2000, 3000))
    (small_image,) = placed(["Anna"], [(50, 50, 150, 180)], (240, 320))
    assert large.size_px > 1.8 * small.size_px
    assert large.size_px > 3 * small_image.size_px
    assert small_image.size_px >= 10


coordinate = st.floats(0, 640, width=32)


@given(
    boxes=st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=8),
    text=st.text(max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_plates_lie_inside_the_image_whatever_the_faces(
    boxes: list[tuple[float, float, float, float]], text: str
) -> None:
    frames = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    for plate in placed([text] * len(frames), frames, (480, 640)):
        x1, y1, x2, y2 = plate.edges
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 480


def test_faces_choose_in_order() -> None:
    frames: FloatArray = np.array([[100, 200, 200, 300]] * 2, np.float32)
    first, second = place_plates(["Anna", "Berta"], frames, size_hw=(600, 800))
    assert first.edges[3] <= 200
    assert shared_area(first.edges, second.edges) == 0
