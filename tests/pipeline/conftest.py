"""A recognizer whose detector and embedder read their answers off the picture: what a test sees is what it painted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vultus.gallery import SqliteGallery
from vultus.pipeline import FaceRecognizer
from vultus.types import Crops, Detections, Embeddings, Image

SIZE = 64
FACE_PX = 24


def paint(*people: int, sharp: bool = True, face_px: int = FACE_PX) -> Image:
    """A picture with one textured square per person, of that person's grey value, from left to right."""
    image = np.full((SIZE, SIZE * max(1, len(people)), 3), 255, np.uint8)
    for i, person in enumerate(people):
        square = image[8 : 8 + face_px, i * SIZE + 8 : i * SIZE + 8 + face_px]
        square[:] = person
        if sharp:
            square[::2, ::2] = 200 + person % 50
    return image


class PaintedDetector:
    """Finds the painted squares."""

    def detect(self, image: Image) -> Detections:
        boxes, scores, landmarks = [], [], []
        for x in range(0, image.shape[1], SIZE):
            tile = image[:, x : x + SIZE, 0]
            ys, xs = np.nonzero(tile != 255)
            if not len(ys):
                continue
            box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32) + (x, 0, x, 0)
            width = box[2] - box[0]
            points = np.array([(0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75)], np.float32)
            boxes.append(box)
            scores.append(0.99 - 0.01 * len(scores))
            landmarks.append(box[:2] + points * width)
        if not boxes:
            return Detections.empty()
        return Detections(np.array(boxes), np.array(scores, np.float32), np.array(landmarks))

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


class PaintedEmbedder:
    """One random direction per grey value; a face whose grey value is 66 cannot be aligned."""

    contract = "painted"
    min_similarity = 0.5

    def alignable(self, faces: Detections) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.asarray(faces.sizes_px != 13, dtype=np.bool_)

    def align(self, image: Image, faces: Detections) -> Crops:
        corners = faces.boxes[:, :2].astype(int)
        crops = [np.full((8, 8, 3), image[y + 1, x + 1, 0], np.uint8) for x, y in corners]
        texture = [image[y : y + 8, x : x + 8] for x, y in corners]
        return np.array(texture, np.uint8).reshape(-1, 8, 8, 3) if crops else np.zeros((0, 8, 8, 3), np.uint8)

    def embed(self, crops: Crops) -> Embeddings:
        vectors = [np.random.default_rng(int(crop[1, 1, 0])).normal(size=16) for crop in crops]
        rows = np.array(vectors, np.float32).reshape(-1, 16)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture
def gallery(tmp_path: Path) -> SqliteGallery:
    return SqliteGallery(tmp_path / "people.db", contract="painted")
