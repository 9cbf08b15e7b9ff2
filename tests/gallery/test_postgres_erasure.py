"""Erasing a person from PostgreSQL: nothing of them is left in any table, nor in the files of the server."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from vultus.errors import GalleryError, NotEnrolledError
from vultus.gallery.postgres import PostgresGallery
from vultus.image import encode_png
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


def traces(folder: Path, needles: list[bytes]) -> list[str]:
    """Where one of these stands in the files of tables and indexes."""
    found = []
    for file in (folder / "base").rglob("*"):
        try:
            content = file.read_bytes() if file.is_file() else b""
        except FileNotFoundError:  # PostgreSQL removes files while we look
            continue
        found += [f"{file.name}: {needle[:8].hex()}" for needle in needles if needle in content]
    return found


def test_nothing_is_left_of_an_erased_person(database: str, faces: MakeFaces) -> None:
    with (
        PostgresGallery(database, contract="c", actor="tester") as gallery,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        for seed in range(5, 15):
            gallery.enrol(f"Person {seed}", faces(2, seed=seed))
        templates = faces(2, seed=1)
        anna = gallery.enrol("Anna", templates, metadata={"badge": 17})
        gallery.rename(anna.id, "Annette")
        gallery.build_index(m=8, ef_construction=32)
        connection.execute("ANALYZE")  # as the server does by itself: it must not keep samples of people
        connection.execute("CHECKPOINT")
        folder = connection.execute("SHOW data_directory").fetchone()
        needles = [anna.id.encode(), *(one.embedding.tobytes() for one in templates)]
        needles += [encode_png(one.crop)[64:128] for one in templates if one.crop is not None]
        if folder is not None and Path(folder[0]).is_dir():
            assert traces(Path(folder[0]), needles), "otherwise the search would prove nothing"
        proof = gallery.erase(anna.id)
        assert proof.is_proven
        assert (proof.identity_id, proof.templates, proof.fragments) == (anna.id, 2, 5)
        assert {name for name, _ in proof.searched} >= {"vultus.people", "vultus.templates", "vultus.audit"}
        if folder is not None and Path(folder[0]).is_dir():
            assert traces(Path(folder[0]), needles) == []
        assert [(entry.action, entry.name) for entry in gallery.audit()][-3:] == [
            ("enrol", ""), ("rename", ""), ("erase", ""),
        ]  # fmt: skip
        assert len(gallery.people()) == 10
        assert gallery.template_count() == 20
        assert gallery.check().is_clean
        with pytest.raises(NotEnrolledError):
            gallery.erase(anna.id)


def test_whoever_only_reads_does_not_erase(database: str, faces: MakeFaces) -> None:
    with PostgresGallery(database, contract="c") as gallery:
        anna = gallery.enrol("Anna", faces(1))
        with (
            PostgresGallery(database, read_only=True) as reader,
            pytest.raises(GalleryError, match="read-only"),
        ):
            reader.erase(anna.id)
        assert gallery.people() == [anna]
