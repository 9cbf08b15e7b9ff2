"""Opening a file: what is no gallery, what is an older or a newer one, and who may write."""

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery, salvage
from vultus.gallery.database import Database, create
from vultus.gallery.schema import APPLICATION_ID, MIGRATIONS, VERSION
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]
OLD = Path(__file__).with_name("version_1.sql")


def text_file(folder: Path) -> Path:
    path = folder / "text.db"
    path.write_text("people: none\n" * 999)
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.db"
    path.touch()
    return path


def short_file(folder: Path) -> Path:
    path = folder / "short.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(50))
    return path


def other_database(folder: Path) -> Path:
    path = folder / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text_file, "damaged, or not a gallery"),
        (empty_file, "is empty"),
        (short_file, "damaged"),
        (other_database, "not a Vultus gallery"),
        (lambda folder: folder, "this is a folder"),
        (lambda folder: folder / "missing" / "people.db", "there is no folder"),
        (lambda folder: folder / "nul\0.db", "null"),
        (lambda _: Path("/proc/people.db"), "cannot be made"),
    ],
)
def test_what_is_no_gallery_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    path = make(tmp_path)
    before = path.read_bytes() if path.is_file() else None
    for read_only, rescue in ((False, False), (True, False), (False, True)):
        with pytest.raises(GalleryError) as caught:
            SqliteGallery(path, read_only=read_only, salvage=rescue)
        assert str(path) in str(caught.value)
    with pytest.raises(GalleryError, match=message):
        SqliteGallery(path)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_gallery_without_its_tables_is_damaged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    for rescue in (False, True):
        with pytest.raises(GalleryError, match=rf"{path}: .* lacks what a gallery has"):
            SqliteGallery(path, salvage=rescue)


def test_reading_and_salvaging_do_not_make_a_gallery(path: Path) -> None:
    with pytest.raises(GalleryError, match="no such file"):
        SqliteGallery(path, read_only=True)
    with pytest.raises(GalleryError, match="no such file"):
        SqliteGallery(path, salvage=True)
    assert list(path.parent.iterdir()) == []


def test_a_new_gallery_belongs_to_its_owner_alone(gallery: SqliteGallery, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.parent.iterdir())


@pytest.mark.parametrize(
    "name", ["with space.db", "100%.db", "what?.db", "#1.db", ":memory:", "é.db", "a'b.db"]
)
def test_any_file_name_will_do(tmp_path: Path, faces: MakeFaces, name: str) -> None:
    with SqliteGallery(tmp_path / name, contract="c") as gallery:
        gallery.enrol("Anna", faces(1))
    assert [file.name for file in tmp_path.iterdir()] == [name]
    with SqliteGallery(str(tmp_path / name)) as again:
        assert [person.name for person in again.people()] == ["Anna"]


def test_a_relative_path_is_taken_from_where_one_is(
    tmp_path: Path, faces: MakeFaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SqliteGallery("people.db", contract="c") as gallery:
        gallery.enrol("Anna", faces(1))
    assert (tmp_path / "people.db").is_file()


def old_gallery(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
    return path


def test_a_gallery_of_an_older_version_is_upgraded_with_everybody_in_it(path: Path) -> None:
    with SqliteGallery(old_gallery(path), contract="contract-1") as gallery:
        assert gallery.stats().schema_version == VERSION
        anna, berta = gallery.people()
        assert (anna.name, anna.template_count, anna.metadata) == ("Anna", 2, {"team": "red"})
        assert gallery.search(np.eye(4, dtype=np.float32)[2:3])[0][0].id == berta.id
        assert [entry.name for entry in gallery.audit()] == ["Anna", "Berta"]
        gallery.rename(berta.id, "Bella")  # writes the change log, which the old file had not
        assert gallery.check().is_clean
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_an_older_version_is_not_upgraded_by_reading(path: Path) -> None:
    before = old_gallery(path).read_bytes()
    with pytest.raises(GalleryError, match="schema version is 1, this Vultus reads 4"):
        SqliteGallery(path, read_only=True)
    assert path.read_bytes() == before


def test_an_older_version_can_be_salvaged(path: Path) -> None:
    result = salvage(old_gallery(path), path.with_name("copy.db"))
    assert (result.people, result.templates, result.damaged) == (2, 3, ())


def test_a_newer_version_is_refused_and_not_touched(gallery: SqliteGallery, path: Path) -> None:
    gallery.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    for read_only, rescue in ((False, False), (True, False), (False, True)):
        with pytest.raises(GalleryError, match="made by a newer Vultus"):
            SqliteGallery(path, read_only=read_only, salvage=rescue)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_version_is_the_number_of_migrations() -> None:
    assert len(MIGRATIONS) == VERSION == 4


def test_a_failed_migration_leaves_the_old_version(path: Path) -> None:
    with closing(sqlite3.connect(old_gallery(path))) as connection:
        connection.execute("CREATE TABLE changes (in_the_way TEXT)")
    with pytest.raises(GalleryError, match=r"people\.db"):
        SqliteGallery(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_gallery_opened_for_reading_refuses_every_change(
    gallery: SqliteGallery, faces: MakeFaces, path: Path
) -> None:
    anna = gallery.enrol("Anna", faces(2))
    with SqliteGallery(path, read_only=True) as reader:
        changes: list[Callable[[], object]] = [
            lambda: reader.enrol("Berta", faces(1)),
            lambda: reader.remove(anna.id),
            lambda: reader.rename(anna.id, "Berta"),
            lambda: reader.set_metadata(anna.id, {}),
            lambda: reader.remove_template(anna.id, 1),
        ]
        for change in changes:
            with pytest.raises(GalleryError, match="read-only"):
                change()
        gallery.enrol("Cora", faces(1, seed=3))
        assert [person.name for person in reader.people()] == ["Anna", "Cora"], "a reader follows"
        assert len(reader.search(faces(1)[0].embedding[np.newaxis])[0]) == 2


AS_NOBODY = """
import os, sys
from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery
from vultus.types import Template
os.setgid(65534); os.setuid(65534)
try:
    with SqliteGallery(sys.argv[1], contract="contract-1") as gallery:
        print(len(gallery.people()))
        gallery.enrol("Berta", [Template([1.0] + 15 * [0.0])])
except GalleryError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o644, 0o755), (0o000, 0o755), (0o644, 0o777)])
def test_a_file_without_permission_is_a_typed_error(
    faces: MakeFaces, file_mode: int, folder_mode: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        path = Path(folder) / "people.db"
        with SqliteGallery(path, contract="contract-1") as gallery:
            gallery.enrol("Anna", faces(1))
        path.chmod(file_mode)
        path.parent.chmod(folder_mode)
        run = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(path)], capture_output=True, text=True, check=False
        )
        assert run.stderr == ""
        assert f"gallery {path}: " in run.stdout
        with SqliteGallery(path) as again:
            assert [person.name for person in again.people()] == ["Anna"]


def test_every_connection_has_the_settings_that_the_promises_need(gallery: SqliteGallery, path: Path) -> None:
    expected = {
        "journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "foreign_keys": 1, "secure_delete": 1,
        "trusted_schema": 0, "cell_size_check": 1,
    }  # fmt: skip
    with closing(Database(path)) as database, database.reading() as reader, database.writing() as writer:
        for connection in (reader, writer):
            found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in expected}
            assert found == expected


def test_a_new_file_is_ready_for_many_before_anybody_sees_it(path: Path) -> None:
    create(path)
    assert path.read_bytes()[18:20] == b"\x02\x02", "write-ahead log, switched on when nobody else is there"


def test_what_only_reads_cannot_write(gallery: SqliteGallery, faces: MakeFaces, path: Path) -> None:
    gallery.enrol("Anna", faces(1))
    database = Database(path)
    with pytest.raises(GalleryError, match="written"), database.reading() as connection:
        connection.execute("DELETE FROM templates")
    database.close()
    assert gallery.check().is_clean


def test_a_closed_gallery_says_so(gallery: SqliteGallery, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    gallery.close()
    gallery.close()
    uses: list[Callable[[], object]] = [
        gallery.people,
        gallery.audit,
        gallery.stats,
        lambda: gallery.contract,
        lambda: gallery.enrol("Berta", faces(1)),
        lambda: gallery.search(faces(1)[0].embedding[np.newaxis]),
        lambda: gallery.templates("0" * 32),
    ]
    for use in uses:
        with pytest.raises(GalleryError, match="it is closed; open it again"):
            use()


def _names_after_fork(gallery: SqliteGallery, answers: "multiprocessing.Queue[str]") -> None:
    try:
        answers.put(str([person.name for person in gallery.people()]))
    except GalleryError as error:
        answers.put(str(error))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="fork is not known here")
def test_a_gallery_does_not_survive_a_fork_and_says_so(gallery: SqliteGallery, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_names_after_fork, args=(gallery, answers))
    child.start()
    answer = answers.get(timeout=30)
    child.join(timeout=30)
    assert "after a fork, open it again" in answer
    assert [person.name for person in gallery.people()] == ["Anna"], "the parent goes on"
