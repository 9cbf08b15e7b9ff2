"""Erasing a person from PostgreSQL: nothing of them is left in any table, nor in the files of the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import psycopg
import pytest

from vultus.errors import GalleryError, NotEnrolledError
from vultus.gallery import postgres_erasure
from vultus.gallery.postgres import PostgresGallery
from vultus.image import encode_png
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


def files_of(connection: psycopg.Connection) -> Path | None:
    """The folder of this database's tables and indexes, which other tests' databases stand beside."""
    query = (
        "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
    )
    row = connection.execute(query).fetchone()
    folder = None if row is None else Path(row[0]) / "base" / str(row[1])
    return folder if folder is not None and folder.is_dir() else None


def traces(folder: Path | None, needles: list[bytes]) -> list[str]:
    """Where one of these stands in the files of tables and indexes; nowhere if the server is far away."""
    found = []
    for file in [] if folder is None else folder.iterdir():
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
        folder = files_of(connection)
        needles = [anna.id.encode(), *(one.embedding.tobytes() for one in templates)]
        needles += [encode_png(one.crop)[64:128] for one in templates if one.crop is not None]
        if folder is not None:
            assert traces(folder, needles), "otherwise the search would prove nothing"
        proof = gallery.erase(anna.id)
        assert proof.is_proven
        assert (proof.identity_id, proof.templates, proof.fragments) == (anna.id, 2, 5)
        assert {name for name, _ in proof.searched} >= {"vultus.people", "vultus.templates", "vultus.audit"}
        assert traces(folder, needles) == []
        assert [(entry.action, entry.name) for entry in gallery.audit()][-3:] == [
            ("enrol", ""), ("rename", ""), ("erase", ""),
        ]  # fmt: skip
        assert len(gallery.people()) == 10
        assert gallery.template_count() == 20
        assert gallery.check().is_clean
        with pytest.raises(NotEnrolledError):
            gallery.erase(anna.id)


@contextmanager
def older_transaction(database: str) -> Iterator[psycopg.Connection]:
    """As a backup, or the server's own ANALYZE: it sees the database as it is now, as long as it lasts."""
    with psycopg.connect(database, application_name="backup") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1")
        yield connection


def test_dead_rows_are_not_kept_for_an_older_transaction(database: str, faces: MakeFaces) -> None:
    templates = faces(2, seed=1)
    with PostgresGallery(database, contract="c") as gallery, older_transaction(database) as backup:
        anna = gallery.enrol("Anna", templates)
        folder = files_of(backup)
        timer = Timer(1.0, backup.rollback)
        timer.start()
        proof = gallery.erase(anna.id)
        timer.join()
        assert proof.is_proven
        assert traces(folder, [one.embedding.tobytes() for one in templates]) == []


def test_the_proof_names_an_older_transaction(
    database: str, faces: MakeFaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_erasure, "PATIENCE_S", 0.2)
    with PostgresGallery(database, contract="c") as gallery:
        anna = gallery.enrol("Anna", faces(1))
        with older_transaction(database):
            proof = gallery.erase(anna.id)
        assert not proof.is_proven
        assert any("backup, process " in what for what in proof.found)


def test_whoever_only_reads_does_not_erase(database: str, faces: MakeFaces) -> None:
    with PostgresGallery(database, contract="c") as gallery:
        anna = gallery.enrol("Anna", faces(1))
        with (
            PostgresGallery(database, read_only=True) as reader,
            pytest.raises(GalleryError, match="read-only"),
        ):
            reader.erase(anna.id)
        assert gallery.people() == [anna]
