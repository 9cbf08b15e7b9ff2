"""Synthetic faces: unit vectors with a small picture, different for each seed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vultus.gallery import SqliteGallery
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture(scope="session")
def faces() -> MakeFaces:
    """`faces(count, seed=0, dimension=16, crops=True)`: so many templates."""

    def make(count: int = 1, *, seed: int = 0, dimension: int = 16, crops: bool = True) -> list[Template]:
        generator = np.random.default_rng(seed)
        vectors = generator.standard_normal((count, dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [
            Template(
                vector.astype(np.float32),
                crop=generator.integers(0, 256, (8, 8, 3), np.uint8) if crops else None,
                quality=0.75,
                source=f"photo {number}.jpg",
            )
            for number, vector in enumerate(vectors)
        ]

    return make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a gallery may be made."""
    return tmp_path / "people.db"


@pytest.fixture
def gallery(path: Path) -> Iterator[SqliteGallery]:
    """An empty gallery."""
    with SqliteGallery(path, contract="contract-1", actor="tester") as made:
        yield made


@pytest.fixture
def archive(gallery: SqliteGallery, faces: MakeFaces, tmp_path: Path) -> Path:
    """Anna with two templates, Berta with one that has no crop; the gallery stays open."""
    gallery.enrol("Anna", faces(2, seed=1), metadata={"team": "red", "tags": ["<b>", None]})
    gallery.enrol("Berta", faces(1, seed=2, crops=False))
    path = tmp_path / "export.zip"
    gallery.export(path)
    return path


@pytest.fixture
def other(tmp_path: Path) -> SqliteGallery:
    """Another gallery, with Zoe in it."""
    other = SqliteGallery(tmp_path / "other.db", contract="contract-1", actor="importer")
    vector = np.zeros(16, np.float32)
    vector[0] = 1.0
    other.enrol("Zoe", [Template(vector)])
    return other
