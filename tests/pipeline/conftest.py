"""Parts that read their answers off the picture: what a test sees is what it painted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.gallery import SqliteGallery
from vultus.interfaces import Detector, Embedder
from vultus.types import Crops, Detections, Embeddings, Image, Template

TILE_PX = 64
FACE_PX = 48
TWISTED = 66  # the grey value of a face that cannot be aligned

FRONTAL = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)

Paint = Callable[..., Image]


def paint_people(*people: int) -> Image:
    """A white picture with one square per person, of that person's grey value, from left to right."""
    image = np.full((TILE_PX, TILE_PX * max(1, len(people)), 3), 255, np.uint8)
    for i, person in enumerate(people):
        image[8 : 8 + FACE_PX, i * TILE_PX + 8 : i * TILE_PX + 8 + FACE_PX] = person
    return image


class PaintedDetector:
    """Finds the painted squares; those on the left have the better scores."""

    def detect(self, image: Image) -> Detections:
        lefts = [x + 8 for x in range(0, image.shape[1], TILE_PX) if image[8, x + 8, 0] != 255]
        boxes = np.array([(x, 8, x + FACE_PX, 8 + FACE_PX) for x in lefts], np.float32).reshape(-1, 4)
        scores = 0.99 - 0.01 * np.arange(len(lefts), dtype=np.float32)
        return Detections(boxes, scores, boxes[:, None, :2] + FACE_PX * FRONTAL)

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


class PaintedEmbedder:
    """One random direction per grey value."""

    contract = "painted"
    min_similarity: float | None = 0.5

    def __init__(self) -> None:
        self._twisted: set[float] = set()

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        return np.array([x not in self._twisted for x in faces.boxes[:, 0]], dtype=np.bool_)

    def twist(self, left_px: float) -> None:
        """Faces that start in this column cannot be aligned from now on."""
        self._twisted.add(left_px)

    def align(self, image: Image, faces: Detections) -> Crops:
        corners = faces.boxes[:, :2].astype(int)
        crops = [image[y : y + 8, x : x + 8] for x, y in corners]
        return np.array(crops, np.uint8).reshape(-1, 8, 8, 3)

    def embed(self, crops: Crops) -> Embeddings:
        rows = np.array([direction(int(crop[0, 0, 0])) for crop in crops], np.float32)
        return rows.reshape(-1, 16)


def direction(person: int) -> NDArray[np.float32]:
    """The (16,) unit vector of a person."""
    vector = np.random.default_rng(person).normal(size=16)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


@pytest.fixture
def paint() -> Paint:
    return paint_people


@pytest.fixture
def detector() -> Detector:
    return PaintedDetector()


@pytest.fixture
def embedder() -> Embedder:
    return PaintedEmbedder()


@pytest.fixture
def gallery(tmp_path: Path) -> SqliteGallery:
    """Ada is painted in grey 10, Bob in grey 20."""
    made = SqliteGallery(tmp_path / "people.db", contract="painted")
    made.enrol("Ada", [Template(direction(10))])
    made.enrol("Bob", [Template(direction(20))])
    return made
