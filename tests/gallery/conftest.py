"""Synthetic faces (unit vectors with a small picture, others for each seed), and galleries of each engine."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from vultus.gallery import DurableGallery, SqliteGallery, open_gallery
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


@dataclass(frozen=True)
class Engine:
    """One kind of gallery, and the address of one that is nobody else's."""

    name: str
    uri: str
    schema_version: int

    def open(self, **options: Any) -> DurableGallery:
        """The gallery at that address, once more with each call."""
        return open_gallery(self.uri, **options)

    def open_other(self, **options: Any) -> DurableGallery:
        """A second gallery beside it: another file, or another name in the same database."""
        return open_gallery(f"{self.uri}_other", **options)


@pytest.fixture(params=["sqlite", "postgres", "milvus"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Each engine in turn."""
    if request.param == "sqlite":
        return Engine("sqlite", str(tmp_path / "people.db"), schema_version=4)
    if request.param == "milvus":
        server = request.getfixturevalue("milvus")
        return Engine("milvus", f"{server}?gallery=g{uuid.uuid4().hex}", schema_version=1)
    server = request.getfixturevalue("postgres")
    return Engine("postgres", f"{server}{'&' if '?' in server else '?'}gallery={uuid.uuid4().hex}", 1)


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The address of a database of its own, without tables."""
    name = f"test_{uuid.uuid4().hex}"
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(postgres)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
