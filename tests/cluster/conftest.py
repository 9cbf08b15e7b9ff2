"""A folder of painted photos, and parts that read people off them: what a test sees is what it painted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.cluster import Overview, PhotoState, Scan, group_people, overview, scan
from vultus.image import save_image
from vultus.types import Crops, Detections, Embeddings, Image

TILE_PX = 64
FACE_PX = 48
SMALL_PX = 20
FRONTAL = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
MIN_SIMILARITY = 0.5

Paint = Callable[..., Path]


class PaintedDetector:
    """Finds a face in every tile whose corner is black; the tile's shade of red is its size."""

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, image: Image) -> Detections:
        self.looks += 1
        lefts = [x for x in range(0, image.shape[1], TILE_PX) if image[0, x].max() == 0]
        sides = np.array([image[1, x, 0] for x in lefts], np.float32)
        corners = np.array([(x + 8, 8) for x in lefts], np.float32).reshape(-1, 2)
        boxes = np.concatenate([corners, corners + sides[:, None]], axis=1)
        scores = 0.99 - 0.01 * np.arange(len(lefts), dtype=np.float32)
        return Detections(boxes, scores, corners[:, None] + sides[:, None, None] * FRONTAL)

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


class PaintedEmbedder:
    """One direction per person, and a little of another one per shot."""

    contract = "painted"
    min_similarity: float | None = MIN_SIMILARITY

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        return np.ones(len(faces), np.bool_)

    def align(self, image: Image, faces: Detections) -> Crops:
        corners = faces.boxes[:, :2].astype(int)
        crops = [image[y : y + 40, x : x + 40] for x, y in corners]
        return np.array(crops, np.uint8).reshape(-1, 40, 40, 3)

    def embed(self, crops: Crops) -> Embeddings:
        rows = [direction(int(crop[0, 0, 1]), int(crop[0, 0, 2])) for crop in crops]
        return np.array(rows, np.float32).reshape(-1, 32)


def direction(person: int, shot: int) -> NDArray[np.float32]:
    """The (32,) unit vector of a shot of a person; persons 100 and 101 are twins."""
    own = np.random.default_rng(100 if person == 101 else person).normal(size=32)
    other = np.random.default_rng((person, shot)).normal(size=32)
    vector = own + 0.3 * other
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def painted(*faces: tuple[int, int] | tuple[int, int, int], tint: int = 255) -> Image:
    """A picture with a tile for each (person, shot) or (person, shot, size in pixels)."""
    image = np.full((TILE_PX, TILE_PX * max(1, len(faces)), 3), tint, np.uint8)
    for number, (person, shot, *size) in enumerate(faces):
        left = number * TILE_PX
        noise = np.random.default_rng((person, shot)).integers(0, 256, (48, 48, 3), np.uint8)
        image[8:56, left + 8 : left + 56] = noise
        image[8, left + 8, 1:] = person, shot
        image[0, left] = 0
        image[1, left, 0] = size[0] if size else FACE_PX
    return image


@dataclass
class Collection:
    """A folder, what is known of it, and the way to bring that up to date."""

    folder: Path
    state: PhotoState
    detector: PaintedDetector

    def paint(self, name: str, *faces: tuple[int, ...], tint: int = 255) -> Path:
        """Write a photo of these people."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(painted(*faces, tint=tint), path)  # type: ignore[arg-type]  # pairs or triples
        return path

    def run(self, *, min_similarity: float = MIN_SIMILARITY) -> Scan:
        """What `vultus cluster` does."""
        done = scan(
            self.state,
            sorted(self.folder.rglob("*.png")),
            folder=self.folder,
            detector=self.detector,
            embedder=PaintedEmbedder(),
        )
        group_people(self.state, min_similarity=min_similarity)
        return done

    def shown(self) -> Overview:
        return overview(self.state)

    def people(self) -> dict[str, set[str]]:
        """Title of each person -> the photos they are in."""
        shown = self.shown()
        return {
            one.title: {path for face in one.faces for path in shown.paths[face.photo]}
            for one in shown.people
        }

    def groups(self) -> set[frozenset[str]]:
        """The photos of each person."""
        return {frozenset(paths) for paths in self.people().values()}

    def face(self, photo: str, place: int = 0) -> int:
        """The number of the face that is so far from the left in a photo."""
        shown = self.shown()
        faces = [face for one in shown.people for face in one.faces if photo in shown.paths[face.photo]]
        return sorted(faces, key=lambda face: face.box[0])[place].id

    def person(self, photo: str, place: int = 0) -> str:
        """The number of the person there."""
        number = self.face(photo, place)
        (found,) = [one.number for one in self.shown().people if number in {face.id for face in one.faces}]
        return str(found)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """An empty folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with PhotoState(tmp_path / "people.db", create=True) as state:
        yield Collection(folder, state, PaintedDetector())


@pytest.fixture
def party(collection: Collection) -> Collection:
    """Ada (10) in three photos, Bob (20) in two, one of them with Ada, Cleo (30) in one."""
    collection.paint("ada-1.png", (10, 1))
    collection.paint("ada-2.png", (10, 2))
    collection.paint("both.png", (10, 3), (20, 1))
    collection.paint("bob.png", (20, 2))
    collection.paint("cleo.png", (30, 1))
    collection.run()
    return collection
