"""What a server proposes becomes the answer that any other gallery gives."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vultus.gallery import SqliteGallery
from vultus.gallery.postgres import PostgresGallery
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def gallery(postgres: str) -> Iterator[PostgresGallery]:
    """An empty gallery in PostgreSQL."""
    uri = f"{postgres}{'&' if '?' in postgres else '?'}gallery={uuid.uuid4().hex}"
    with PostgresGallery(uri, contract="contract-1", actor="tester") as made:
        yield made


def probe(template: Template) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return template.embedding[np.newaxis]


def test_answers_are_those_of_a_gallery_in_a_file_to_the_last_bit(
    gallery: PostgresGallery, faces: MakeFaces, tmp_path: Path
) -> None:
    probes = np.stack([face.embedding for face in faces(12, seed=1000)])
    with SqliteGallery(tmp_path / "people.db", contract="contract-1") as other:
        for seed in range(60):
            gallery.enrol(f"person {seed}", faces(1 + seed % 4, seed=seed, crops=False))
        other.add_records(list(gallery.records()))
        for top_k in (1, 5, 60, 100):
            assert gallery.search(probes, top_k=top_k) == other.search(probes, top_k=top_k)
            by_mean = gallery.search(probes, top_k=top_k, aggregate="mean")
            assert by_mean == other.search(probes, top_k=top_k, aggregate="mean")
        limited = gallery.search(probes, top_k=60, min_similarity=0.2)
        assert limited == other.search(probes, top_k=60, min_similarity=0.2)
        assert 0 < sum(len(one) for one in limited) < 12 * 60


def test_among_many_who_are_equally_close_the_first_names_are_answered(
    gallery: PostgresGallery, faces: MakeFaces
) -> None:
    (face,) = faces(1, crops=False)
    for number in reversed(range(100)):  # more than are asked for at first
        gallery.enrol(f"twin {number:02}", [face])
    for aggregate in ("best", "mean"):
        (answer,) = gallery.search(probe(face), top_k=2, aggregate=aggregate)
        assert [one.name for one in answer] == ["twin 00", "twin 01"]


def test_somebody_with_many_templates_does_not_hide_the_others(
    gallery: PostgresGallery, faces: MakeFaces
) -> None:
    (face,) = faces(1)
    gallery.enrol("Anna", [face] * 300)
    gallery.enrol("Berta", faces(1, seed=1))
    gallery.enrol("Cora", faces(1, seed=2))
    (answer,) = gallery.search(probe(face), top_k=3)
    assert {one.name for one in answer} == {"Anna", "Berta", "Cora"}
