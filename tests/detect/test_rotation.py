"""Sideways photos: found when turned, told in pixels of the photo as it was given."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from vultus.align import alignable, crop_faces
from vultus.detect import Explained, RotationRetry, load_detector
from vultus.detect.explanation import FLOOR, NearMiss, Reason
from vultus.detect.rotation import boxes_back, points_back, turn
from vultus.errors import ShapeError
from vultus.geometry.boxes import iou
from vultus.interfaces import Detector
from vultus.types import Detections, Image

Photo = Callable[[str], Image]


class FindsMark:
    """Finds a face of 4 x 6 where the image has a white pixel in a row above row 10, if there is any."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def detect(self, image: Image) -> Detections:
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.explain(image).faces for image in images]

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        self.seen.append(image.shape)
        rows, columns = np.nonzero(image[:10, :, 0] == 255)
        if not len(rows):
            return Explained(Detections.empty(), ())
        x, y = float(columns[0]), float(rows[0])
        box = np.array([x, y, x + 4, y + 6], np.float32)
        points = np.array([[x, y], [x + 3, y], [x + 2, y + 2], [x, y + 5], [x + 3, y + 5]])
        faces = Detections(box[None], np.array([0.9], np.float32), points[None].astype(np.float32))
        return Explained(faces, (NearMiss(box + 1, 0.3, Reason.BELOW_MIN_SCORE, 0.5),))


def marked(row: int, column: int, size_hw: tuple[int, int] = (40, 60)) -> Image:
    image = np.zeros((*size_hw, 3), np.uint8)
    image[row, column] = 255
    return image


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_points_of_a_turned_image_are_told_in_the_original(turns: int) -> None:
    height, width = 40, 60
    image = np.zeros((height, width, 3), np.uint8)
    image[7, 11] = 255
    turned = turn(image, turns)
    ((row, column),) = np.argwhere(turned[..., 0] == 255)
    centre = np.array([column + 0.5, row + 0.5])  # of the pixel
    assert points_back(centre, turns, size_hw=(height, width)).tolist() == [11.5, 7.5]
    box = np.array([[column, row, column + 1, row + 1]])
    assert boxes_back(box, turns, size_hw=(height, width)).tolist() == [[11, 7, 12, 8]]


def test_an_image_with_a_face_is_not_turned() -> None:
    finder = FindsMark()
    assert len(RotationRetry(finder).detect(marked(3, 20))) == 1
    assert finder.seen == [(40, 60, 3)]


@pytest.mark.parametrize(("row", "column"), [(20, 55), (35, 20), (20, 3)])
def test_a_face_that_shows_after_a_turn_is_told_in_the_original(row: int, column: int) -> None:
    finder = FindsMark()
    faces = RotationRetry(finder).detect(marked(row, column))
    assert len(finder.seen) == 4
    assert faces.scores.tolist() == [pytest.approx(0.9)]
    x1, y1, x2, y2 = faces.boxes[0]
    assert x1 <= column + 0.5 <= x2
    assert y1 <= row + 0.5 <= y2
    assert sorted([x2 - x1, y2 - y1]) == [4, 6]
    assert (faces.landmarks[0, :, 0] >= x1).all()
    assert (faces.landmarks[0, :, 1] <= y2).all()


def test_only_images_without_faces_are_turned() -> None:
    finder = FindsMark()
    images = [marked(3, 20), marked(20, 30), marked(35, 20, (40, 45))]
    found = RotationRetry(finder).detect_batch(images)
    assert [len(faces) for faces in found] == [1, 0, 1]
    assert len(finder.seen) == 3 + 2 * 3


class Fixed:
    """Answers the same faces to every image; only the image that is higher than wide shows an upright one."""

    def detect(self, image: Image) -> Detections:
        return self.explain(image).faces

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        lying = np.array([[[4, 0], [4, 4], [2, 2], [0, 0], [0, 4]]], np.float32)
        standing = np.array([[[0, 0], [4, 0], [2, 2], [0, 4], [4, 4]]], np.float32)
        points, score = (standing, 0.6) if image.shape[0] > image.shape[1] else (lying, 0.99)
        box = np.array([[0, 0, 4, 5]], np.float32)
        return Explained(Detections(box, np.array([score], np.float32), points), ())


def test_an_upright_face_is_worth_more_than_a_better_one_that_lies() -> None:
    retry = RotationRetry(Fixed())
    wide, high = marked(0, 0, (40, 60)), marked(0, 0, (60, 40))
    for faces in (retry.detect(wide), retry.explain(wide).faces):
        assert faces.scores.tolist() == [pytest.approx(0.6)]
        assert (faces.boxes >= 0).all()
        assert (faces.boxes <= [60, 40, 60, 40]).all()
    np.testing.assert_array_equal(retry.detect(high).boxes, [[0, 0, 4, 5]])


def test_a_lying_face_stays_if_no_turn_shows_an_upright_one() -> None:
    square = np.zeros((50, 50, 3), np.uint8)
    faces = RotationRetry(Fixed()).detect(square)
    assert faces.scores.tolist() == [pytest.approx(0.99)]
    np.testing.assert_array_equal(faces.boxes, [[0, 0, 4, 5]])


def test_near_misses_are_turned_back_too() -> None:
    explained = RotationRetry(FindsMark()).explain(marked(35, 20))
    (miss,) = explained.near_misses
    assert iou(miss.box[None], explained.faces.boxes)[0, 0] > 0.3
    assert len(RotationRetry(FindsMark()).explain(marked(3, 20)).near_misses) == 1
    assert RotationRetry(FindsMark()).explain(marked(20, 30)).near_misses == ()


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ShapeError):
        RotationRetry(load_detector()).detect(np.zeros((4, 4), np.uint8))


@pytest.fixture(scope="module", params=["mtcnn", "retinaface"])
def retrying(request: pytest.FixtureRequest) -> Detector:
    return load_detector(request.param, retry="rotate", min_face_px=40)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_face_of_a_turned_photo_is_found_and_cut_out_upright(
    degrees: int, photo: Photo, retrying: Detector
) -> None:
    """The photos show one man; cut out by his landmarks he looks the same, however the photo lay."""
    faces = retrying.detect(photo(f"rotated-{degrees}.jpg"))
    assert len(faces) == 1
    assert alignable(faces.landmarks).all()
    left_eye, right_eye, _, left_mouth, right_mouth = faces.landmarks[0]
    down = (left_mouth + right_mouth) / 2 - (left_eye + right_eye) / 2
    expected = {0: (0, 1), 90: (-1, 0), 180: (0, -1), 270: (1, 0)}[degrees]
    assert np.dot(down / np.linalg.norm(down), expected) > 0.9
    upright = retrying.detect(photo("rotated-0.jpg"))
    crop, other = (
        crop_faces(photo(name), found.landmarks)[0].astype(float)
        for name, found in ((f"rotated-{degrees}.jpg", faces), ("rotated-0.jpg", upright))
    )
    assert np.corrcoef(crop.ravel(), other.ravel())[0, 1] > 0.8


def test_a_photo_of_nobody_stays_empty(photo: Photo, retrying: Detector) -> None:
    assert len(retrying.detect(photo("no-faces.jpg"))) == 0
