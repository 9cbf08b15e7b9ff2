"""Boxes of a photo that was decoded small are those of the whole photo."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as PillowImage

from vultus.detect import MtcnnDetector, RetinaFaceDetector, RotationRetry, load_detector
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.interfaces import FrugalDetector
from vultus.pipeline.photo import detect_photo
from vultus.types import Image


@pytest.fixture(scope="module")
def frugal() -> RetinaFaceDetector:
    return RetinaFaceDetector.load(longest_px=640, threads=1)


@pytest.fixture(scope="module")
def large(photos: Path) -> Image:
    """Six people, on 12 million pixels."""
    photo = load_image(photos / "six-friends.jpg")
    scale = (12e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
    return np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg(image: Image, orientation: int = 1) -> bytes:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def test_the_faces_of_twelve_megapixels_are_those_of_the_whole_photo(
    large: Image, frugal: RetinaFaceDetector
) -> None:
    data = jpeg(large)
    whole, reduced = frugal.detect(load_image(data)), detect_photo(data, frugal)
    assert len(whole) == len(reduced) == 6
    best = iou(whole.boxes, reduced.boxes)
    assert best.max(axis=1).min() > 0.95
    order = best.argmax(axis=1)
    eyes_px = np.linalg.norm(whole.landmarks[:, 1] - whole.landmarks[:, 0], axis=1)
    shifts_px = np.abs(whole.landmarks - reduced.landmarks[order]).max(axis=(1, 2))
    assert (shifts_px < 0.05 * eyes_px).all()


def test_a_photo_on_its_side_is_brought_upright_first(large: Image, frugal: RetinaFaceDetector) -> None:
    data = jpeg(np.ascontiguousarray(np.rot90(large)), orientation=6)
    whole, reduced = frugal.detect(load_image(data)), detect_photo(data, frugal)
    assert len(whole) == len(reduced) == 6
    assert iou(whole.boxes, reduced.boxes).max(axis=1).min() > 0.95


def test_a_small_photo_is_taken_as_it_is(photos: Path, frugal: RetinaFaceDetector) -> None:
    path = photos / "mask_blue.jpg"
    expected = frugal.detect(load_image(path))
    np.testing.assert_array_equal(detect_photo(path, frugal).boxes, expected.boxes)


def test_who_looks_at_every_pixel_gets_every_pixel(frugal: RetinaFaceDetector) -> None:
    assert frugal.needed_px == 640
    assert RotationRetry(frugal).needed_px == 640
    assert RetinaFaceDetector.load(threads=1).needed_px is None
    assert RetinaFaceDetector.load(threads=1, longest_px=640, min_face_px=40).needed_px is None
    mtcnn = load_detector("mtcnn", threads=1)
    assert isinstance(mtcnn, MtcnnDetector)
    assert not isinstance(mtcnn, FrugalDetector)
    assert RotationRetry(mtcnn).needed_px is None
