"""One embedding per image: which face, and what happens where there is none.

The fakes: an image is black, a face is a coloured pixel, its embedding is its colour brought to length 1.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from vultus.choices import FaceChoice
from vultus.errors import FaceCountError, ImageError, InputError, ShapeError
from vultus.evaluate import embed_crops, embed_images, embed_located
from vultus.interfaces import Detector, Embedder
from vultus.types import Crops, Detections, Embeddings, FloatArray, Image

RED, GREEN = (200, 0, 0), (0, 100, 0)


class PixelDetector:
    """A box around every pixel that is not black; the box is as large as its red value says."""

    def detect(self, image: Image) -> Detections:
        rows, columns = np.nonzero(image.any(axis=2))
        centres = np.stack([columns, rows], axis=1).astype(np.float32) + 0.5  # (N, 2), x y
        half = 1 + image[rows, columns, :1].astype(np.float32) / 255
        landmarks = np.repeat(centres[:, None], 5, axis=1)
        return Detections(
            np.hstack([centres - half, centres + half]), np.ones(len(rows), np.float32), landmarks
        )

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


class ColourEmbedder:
    """Cuts the one pixel; a face in the first row cannot be aligned."""

    contract = "colours"
    min_similarity = 0.5

    def alignable(self, faces: Detections) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return faces.landmarks[:, 0, 1] > 1

    def align(self, image: Image, faces: Detections) -> Crops:
        x, y = faces.landmarks[:, 0].astype(int).T
        crops: Crops = image[y, x][:, None, None]
        return crops

    def embed(self, crops: Crops) -> Embeddings:
        colours: FloatArray = crops.reshape(-1, 3).astype(np.float32)
        return np.asarray(colours / np.linalg.norm(colours, axis=1, keepdims=True), dtype=np.float32)


def test_the_fakes_keep_the_promises() -> None:
    assert isinstance(PixelDetector(), Detector)
    assert isinstance(ColourEmbedder(), Embedder)


def photo(path: Path, *faces: tuple[int, int, tuple[int, int, int]]) -> Path:
    """A 21 x 21 image with a face at each (x, y)."""
    pixels = np.zeros((21, 21, 3), np.uint8)
    for x, y, colour in faces:
        pixels[y, x] = colour
    PIL.Image.fromarray(pixels).save(path, format="PNG")
    return path


def embed(paths: Sequence[Path], choice: FaceChoice = FaceChoice.CENTRAL) -> Embeddings:
    found = embed_images(paths, detector=PixelDetector(), embedder=ColourEmbedder(), choice=choice)
    return found.embeddings


def test_each_image_gets_its_own_row(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", (3, 3, RED)), photo(tmp_path / "b.png", (9, 9, GREEN))]
    assert embed(paths).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert embed(paths[::-1]).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_of_several_faces_the_one_nearest_the_centre_is_meant(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", (2, 10, RED), (12, 9, GREEN))
    assert embed([path]).tolist() == [[0, 1, 0]]


def test_the_largest_face_is_meant_on_request(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", (2, 10, RED), (12, 9, GREEN))
    assert embed([path], FaceChoice.LARGEST).tolist() == [[1, 0, 0]]


def test_several_faces_are_an_error_where_one_is_demanded(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", (2, 10, RED), (12, 9, GREEN))
    with pytest.raises(FaceCountError, match="2 faces"):
        embed([path], FaceChoice.ONLY)


def test_images_without_a_usable_face_are_counted_and_score_minus_one(tmp_path: Path) -> None:
    paths = [
        photo(tmp_path / "red.png", (5, 5, RED)),
        photo(tmp_path / "nobody.png"),
        photo(tmp_path / "unalignable.png", (5, 0, RED)),
        photo(tmp_path / "two.png", (5, 5, GREEN), (10, 10, RED)),
    ]
    found = embed_images(paths, detector=PixelDetector(), embedder=ColourEmbedder())
    assert found.has_face.tolist() == [True, False, False, True]
    assert found.face_count.tolist() == [1, 0, 1, 2]
    similarities = found.similarities(np.array([0, 0, 1, 1, 0]), np.array([3, 1, 3, 2, 0]))
    assert similarities.tolist() == [1.0, -1.0, -1.0, -1.0, 1.0]


def test_rows_stay_in_order_over_many_batches(tmp_path: Path) -> None:
    """40 images in batches of 16, every third without a face."""
    colours = [(10 + i, 255 - i, 3 * i) for i in range(40)]
    paths = [
        photo(tmp_path / f"{i}.png", *([] if i % 3 == 2 else [(4, 4, colour)]))
        for i, colour in enumerate(colours)
    ]
    told: list[int] = []
    found = embed_images(paths, detector=PixelDetector(), embedder=ColourEmbedder(), on_progress=told.append)
    assert told == [16, 16, 8]
    assert found.has_face.tolist() == [i % 3 != 2 for i in range(40)]
    for i, colour in enumerate(colours):
        expected = np.zeros(3) if i % 3 == 2 else np.array(colour) / np.linalg.norm(colour)
        np.testing.assert_allclose(found.embeddings[i], expected, atol=1e-6)


def test_a_set_without_any_face_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no usable face was found in any of 1 images"):
        embed([photo(tmp_path / "nobody.png")])
    with pytest.raises(InputError, match="any of 0 images"):
        embed([])


def test_an_unreadable_image_stops_the_measurement(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ImageError):
        embed([photo(tmp_path / "a.png", (3, 3, RED)), tmp_path / "broken.png"])


def test_a_change_is_made_before_the_face_is_searched_for(tmp_path: Path) -> None:
    """Each image gets its own: the first loses its red face, so that the green one remains."""
    paths = [photo(tmp_path / f"{i}.png", (10, 10, RED), (14, 14, GREEN)) for i in range(20)]
    seen: list[int] = []

    def change(number: int, image: Image) -> Image:
        seen.append(number)
        changed = image.copy()
        changed[10, 10] = 0 if number == 0 else changed[10, 10]
        return changed

    found = embed_images(paths, detector=PixelDetector(), embedder=ColourEmbedder(), change=change)
    assert seen == list(range(20))
    assert found.embeddings[:2].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert found.landmarks[0, 0].tolist() == [14.5, 14.5]


def test_that_a_change_leaves_no_face_is_a_finding(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", (3, 3, RED))]
    found = embed_images(
        paths, detector=PixelDetector(), embedder=ColourEmbedder(), change=lambda _, image: image * 0
    )
    assert found.has_face.tolist() == [False]
    assert np.isnan(found.landmarks).all()


def test_published_places_are_believed(tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"{i}.png", (5, 5, RED), (10, 10, GREEN)) for i in range(18)]
    landmarks = np.full((18, 5, 2), 10.5, np.float32)
    landmarks[17] = 5.5
    landmarks[3] = 0  # cannot be aligned
    located = Detections(np.zeros((18, 4), np.float32), np.ones(18, np.float32), landmarks)
    found = embed_located(paths, located, embedder=ColourEmbedder())
    assert found.embeddings[[0, 3, 17]].tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert found.has_face.sum() == 17
    with pytest.raises(ShapeError, match="a face for each of 17 images, got 18"):
        embed_located(paths[:17], located, embedder=ColourEmbedder())
    with pytest.raises(InputError, match="no usable face"):
        embed_located(paths[3:4], located[3], embedder=ColourEmbedder())


def test_crops_go_straight_to_the_embedder() -> None:
    def read(number: int) -> Image:
        return np.array([[[0, number + 1, 0]]], np.uint8)

    told: list[int] = []
    found = embed_crops(read, 20, embedder=ColourEmbedder(), on_progress=told.append)
    assert found.embeddings.tolist() == [[0, 1, 0]] * 20
    assert found.has_face.all()
    assert told == [16, 4]
    with pytest.raises(InputError, match="no crops"):
        embed_crops(read, 0, embedder=ColourEmbedder())
    with pytest.raises(ShapeError, match="of one size"):
        embed_crops(lambda number: np.zeros((number + 1, 1, 3), np.uint8), 2, embedder=ColourEmbedder())
