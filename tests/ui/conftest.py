"""A desk with the real engine and a gallery of its own, and photos as files."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.image import load_image
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import FaceRecognizer
from vultus.ui.desk import Desk


@pytest.fixture(scope="session")
def parts() -> tuple[Detector, Embedder]:
    return load_detector(threads=1), load_embedder(threads=1)


@pytest.fixture
def desk(parts: tuple[Detector, Embedder], tmp_path: Path) -> Iterator[Desk]:
    detector, embedder = parts
    with FaceRecognizer(tmp_path / "people.db", detector=detector, embedder=embedder) as recognizer:
        yield Desk(recognizer)


@pytest.fixture(scope="session")
def album(astronaut: Path, coffee: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files: one person, changed, twice in one picture; nobody; what is no picture."""
    folder = tmp_path_factory.mktemp("album")
    with Image.open(astronaut) as opened:
        person = opened.convert("RGB")
    small = person.crop((110, 0, 350, 240))
    twice = Image.new("RGB", (480, 240), "gray")
    twice.paste(small, (0, 0))
    twice.paste(ImageOps.mirror(small), (240, 0))
    pictures = {
        "person": small,
        "changed": ImageEnhance.Brightness(ImageOps.mirror(small)).enhance(0.8),
        "twice": twice,
    }
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    files = {name: str(folder / f"{name}.png") for name in pictures}
    return files | {"nobody": str(coffee), "broken": str(folder / "broken.jpg")}


@pytest.fixture(scope="session")
def clip(album: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four seconds of seven frames: nobody in the first and the last, a person in between."""
    path, per_s = tmp_path_factory.mktemp("clip") / "door.avi", 7
    person = load_image(album["person"])
    nobody = np.full_like(person, 128)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), per_s, (240, 240))
    for frame in range(4 * per_s):
        writer.write((person if per_s <= frame < 3 * per_s else nobody)[:, :, ::-1])
    writer.release()
    return str(path)
