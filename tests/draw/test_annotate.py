"""Pictures: what is drawn where, in which colour, and that the input stays as it was."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vultus.draw import DETECTED, KNOWN, UNKNOWN, Colour, annotate, annotate_recognition
from vultus.draw.annotate import LANDMARK_COLOURS
from vultus.errors import ShapeError
from vultus.image import load_image
from vultus.types import Candidate, Detections, Image, Match, Recognition

FACE = (150.0, 100.0, 250.0, 220.0)
POINTS = ((180.0, 140.0), (220.0, 141.0), (200.0, 165.0), (185.0, 190.0), (216.0, 191.0))


def faces_at(*boxes: tuple[float, float, float, float]) -> Detections:
    scores = np.linspace(0.99, 0.9, len(boxes), dtype=np.float32)
    return Detections(
        np.array(boxes).reshape(-1, 4), scores, np.array([POINTS] * len(boxes)).reshape(-1, 5, 2)
    )


@pytest.fixture
def image() -> Image:
    return np.full((400, 500, 3), 128, np.uint8)


def is_near(pixel: NDArray[np.uint8], colour: Colour) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= 40)


def test_the_image_given_is_not_changed(image: Image) -> None:
    before = image.copy()
    picture = annotate(image, faces_at(FACE))
    np.testing.assert_array_equal(image, before)
    assert picture.shape == image.shape
    assert picture.dtype == np.uint8
    assert (picture != image).any()


def test_a_read_only_image_will_do(image: Image) -> None:
    image.flags.writeable = False
    assert annotate(image, faces_at(FACE)).flags.writeable


def test_no_faces_give_an_equal_copy(image: Image) -> None:
    picture = annotate(image, Detections.empty())
    np.testing.assert_array_equal(picture, image)
    assert picture is not image


def test_the_frame_lies_on_the_edges_of_the_box_and_the_face_stays_visible(image: Image) -> None:
    picture = annotate(image, faces_at(FACE), labels=[""])
    for row, column in ((160, 150), (160, 249), (100, 200), (219, 200)):
        around = picture[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3)
        assert any(is_near(pixel, DETECTED) for pixel in around), (row, column)
    np.testing.assert_array_equal(picture[110:130, 160:240], image[110:130, 160:240])
    outside = picture.copy()
    outside[95:226, 145:256] = 128
    np.testing.assert_array_equal(outside, image)


def test_each_landmark_is_dotted_in_its_own_colour(image: Image) -> None:
    picture = annotate(image, faces_at(FACE), labels=[""])
    assert len(set(LANDMARK_COLOURS)) == 5
    for (x, y), colour in zip(POINTS, LANDMARK_COLOURS, strict=True):
        assert is_near(picture[round(y), round(x)], colour)


def test_by_default_the_score_is_written(image: Image) -> None:
    faces = faces_at(FACE)
    np.testing.assert_array_equal(annotate(image, faces), annotate(image, faces, labels=["0.99"]))
    assert (annotate(image, faces) != annotate(image, faces, labels=["0.98"])).any()
    assert (annotate(image, faces) != annotate(image, faces, labels=[""])).any()


def test_each_face_has_its_own_label_and_colour(image: Image) -> None:
    faces = faces_at(FACE, (300, 100, 400, 220))
    picture = annotate(image, faces, labels=["Anna", ""], colours=[KNOWN, UNKNOWN])
    assert is_near(picture[160, 150], KNOWN)
    assert is_near(picture[160, 300], UNKNOWN)
    assert (picture[60:95, 300:400] == 128).all()  # no plate above the second
    assert (picture[60:98, 150:200] != 128).any()


def test_the_best_face_is_drawn_on_top(image: Image) -> None:
    picture = annotate(image, faces_at(FACE, FACE), labels=["", ""], colours=[KNOWN, UNKNOWN])
    assert is_near(picture[160, 150], KNOWN)


def test_text_is_dark_on_light_plates_and_light_on_dark_ones(image: Image) -> None:
    for colour, is_dark in (((250, 240, 200), True), ((20, 30, 90), False)):
        plate = annotate(image, faces_at(FACE), labels=["HHHH"], colours=[colour])[70:98, 150:200]
        brightness = plate.mean(axis=2)
        ink = brightness.min() if is_dark else brightness.max()
        assert abs(ink - (30 if is_dark else 255)) < 15


@pytest.mark.parametrize(
    "box",
    [
        (-50, -40, 60, 80),
        (440, 330, 700, 900),
        (-1000, -1000, 2000, 2000),
    ],
)
def test_a_box_that_leaves_the_image_is_framed_up_to_the_border(
    image: Image, box: tuple[float, float, float, float]
) -> None:
    picture = annotate(image, faces_at(box), labels=[""])
    assert any(
        is_near(pixel, DETECTED) for pixel in picture.reshape(-1, 3)[(picture != 128).any(axis=2).ravel()]
    )


@pytest.mark.parametrize(
    "box", [(-90, 100, -10, 200), (100, 400, 200, 500), (200, 200, 200, 200), (9, 9, 5, 5)]
)
def test_a_box_outside_of_the_image_or_without_area_is_left_out(
    image: Image, box: tuple[float, float, float, float]
) -> None:
    both = annotate(image, faces_at(box, FACE), labels=["Berta", "Anna"], colours=[UNKNOWN, KNOWN])
    np.testing.assert_array_equal(both, annotate(image, faces_at(FACE), labels=["Anna"], colours=[KNOWN]))


def test_a_recognition_is_green_where_known_and_amber_where_not(image: Image) -> None:
    faces = faces_at(FACE, (300, 100, 400, 220), (20, 100, 120, 220))
    anna = Candidate("1", "Anna", 0.81)
    matches = (Match((anna,), 0.5), Match((anna,), 0.9), Match((), 0.5))
    named = annotate_recognition(image, Recognition(faces, matches))
    labels = ["Anna 0.81", "unknown 0.81", "unknown"]
    expected = annotate(image, faces, labels=labels, colours=[KNOWN, UNKNOWN, UNKNOWN])
    np.testing.assert_array_equal(named, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["a", "b"]}, "expected 1 labels, one for each face, got 2"),
        ({"labels": []}, "expected 1 labels, one for each face, got 0"),
        ({"colours": []}, "expected 1 colours, one for each face, got 0"),
    ],
)
def test_labels_and_colours_are_one_for_each_face(
    image: Image, options: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        annotate(image, faces_at(FACE), **options)  # type: ignore[arg-type]  # colours, as far as mypy can see


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_no_numbers_are_refused(image: Image, value: float) -> None:
    good = faces_at(FACE)
    for boxes, landmarks in ((good.boxes + value, good.landmarks), (good.boxes, good.landmarks + value)):
        with pytest.raises(ShapeError, match="NaN or infinite"):
            annotate(image, Detections(boxes, good.scores, landmarks))


@pytest.mark.parametrize(
    "array", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)]
)
def test_only_images_are_drawn_on(array: Image) -> None:
    with pytest.raises(ShapeError, match="image must"):
        annotate(array, Detections.empty())


number = st.floats(-1e6, 1e6, width=32)


@given(
    size_hw=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    boxes=st.lists(st.tuples(number, number, number, number), max_size=4),
    points=st.lists(number, min_size=10, max_size=10),
    text=st.text(max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_faces_can_be_drawn_on_any_image(
    size_hw: tuple[int, int], boxes: list[tuple[float, float, float, float]], points: list[float], text: str
) -> None:
    count = len(boxes)
    landmarks = np.tile(np.reshape(points, (1, 5, 2)), (count, 1, 1))
    faces = Detections(np.reshape(boxes, (count, 4)), np.ones(count, np.float32), landmarks)
    image = np.zeros((*size_hw, 3), np.uint8)
    assert annotate(image, faces, labels=[text] * count).shape == image.shape


def test_threads_draw_the_same_picture(photos: Path) -> None:
    image = load_image(photos / "six-friends.jpg")
    faces = faces_at(*[(100.0 * i, 200.0, 100.0 * i + 90, 320.0) for i in range(8)])
    labels = ["Anna", "José", "王小明", "Иван", "محمد", "김철수", "Ελένη", "unknown 0.21"]
    alone = annotate(image, faces, labels=labels)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: annotate(image, faces, labels=labels), range(12)))
    assert pictures
    assert all(np.array_equal(picture, alone) for picture in pictures)
