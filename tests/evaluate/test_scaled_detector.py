"""A detector at a stated size: what it sees, and where its faces are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vultus.detect import load_detector
from vultus.errors import InputError, ShapeError
from vultus.evaluate.scaled_detector import ScaledDetector
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.interfaces import Detector
from vultus.types import Detections, Image


class CornerDetector:
    """Finds one face wherever it looks: the right lower quarter, landmarks in its corners and middle."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def detect(self, image: Image) -> Detections:
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        self.seen += [image.shape for image in images]
        return [self._corner(*image.shape[:2]) for image in images]

    @staticmethod
    def _corner(height: int, width: int) -> Detections:
        box = np.array([[width / 2, height / 2, width, height]], np.float32)
        points = np.array([[width, height]], np.float32) * np.array(
            [[[0.5, 0.5]] * 2 + [[1, 1]] * 3], np.float32
        )
        return Detections(box, np.array([0.7], np.float32), points)


def test_it_is_a_detector() -> None:
    assert isinstance(ScaledDetector(CornerDetector(), longest_px=640), Detector)


@pytest.mark.parametrize(("size_hw", "seen_hw"), [((100, 200), (320, 640)), ((1000, 333), (640, 213))])
def test_the_longer_side_becomes_the_stated_one(size_hw: tuple[int, int], seen_hw: tuple[int, int]) -> None:
    corner = CornerDetector()
    faces = ScaledDetector(corner, longest_px=640).detect(np.zeros((*size_hw, 3), np.uint8))
    assert corner.seen == [(*seen_hw, 3)]
    height, width = size_hw
    np.testing.assert_allclose(faces.boxes, [[width / 2, height / 2, width, height]], rtol=1e-6)
    np.testing.assert_allclose(faces.landmarks[0, 4], [width, height], rtol=1e-6)
    assert faces.scores.tolist() == pytest.approx([0.7])


def test_images_of_several_sizes_come_back_in_their_own_pixels() -> None:
    images = [np.zeros((height, 90, 3), np.uint8) for height in (60, 120)]
    found = ScaledDetector(CornerDetector(), longest_px=30).detect_batch(images)
    assert [faces.boxes[0, 3] for faces in found] == [60, 120]


def test_no_faces_are_no_faces() -> None:
    faces = ScaledDetector(load_detector("mtcnn"), longest_px=64).detect(np.zeros((80, 80, 3), np.uint8))
    assert len(faces) == 0


def test_a_real_face_is_found_at_half_the_size(astronaut: Path) -> None:
    image = load_image(astronaut)
    detector = load_detector("mtcnn")
    expected, halved = detector.detect(image), ScaledDetector(detector, longest_px=256).detect(image)
    assert len(expected) == len(halved) == 1
    assert iou(expected.boxes, halved.boxes)[0, 0] > 0.8
    assert np.abs(expected.landmarks - halved.landmarks).max() < 6


def test_what_is_no_image_or_no_size_is_refused() -> None:
    with pytest.raises(ShapeError):
        ScaledDetector(CornerDetector(), longest_px=64).detect(np.zeros((80, 80), np.uint8))
    with pytest.raises(InputError, match="at least 1, got 0"):
        ScaledDetector(CornerDetector(), longest_px=0)
