"""What is known of a photo collection: one SQLite file, which a crash cannot spoil.

    photos      what was looked at, by the SHA-256 of the file's bytes
    files       where those bytes lie, and by what a changed file is noticed without reading it
    faces       box, unit vector and sharpness of every face; `thumbnails` has its picture
    people      who was found, with the name that a user gave
    members     whose face it is; settled where a user said so, otherwise a guess that a next run may change
    refusals    whose face it is not

A rollback journal and `synchronous=EXTRA`: what was acknowledged survives a crash; and unlike a write-ahead
log it works on the network drives where photos lie, and leaves one file. What is deleted is overwritten,
since it is somebody's face. Every row carries a checksum: SQLite does not see when a vector's byte changes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from vultus.errors import GalleryError
from vultus.sqlite import open_private, transaction

APPLICATION_ID: Final = 0x56554C50  # "VULP": tells the photos of a collection from a gallery
VERSION: Final = 1
WAIT_S: Final = 30.0
PRAGMAS: Final = (
    "foreign_keys = ON",
    "journal_mode = DELETE",
    "synchronous = EXTRA",
    "fullfsync = ON",  # macOS: a plain fsync leaves the data in the drive's own cache
    "secure_delete = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
TABLES: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE photos (digest TEXT PRIMARY KEY, faces INTEGER NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    path BLOB PRIMARY KEY,               -- relative to the folder of the photos, with slashes; may be no text
    digest TEXT NOT NULL REFERENCES photos (digest),
    stamp TEXT NOT NULL,                 -- size and times of the file when it was read
    checksum BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE faces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: users write it down
    digest TEXT NOT NULL REFERENCES photos (digest) ON DELETE CASCADE,
    box TEXT NOT NULL,                   -- x1 y1 x2 y2 in pixels of the upright photo, a JSON list
    sharpness REAL NOT NULL,
    vector BLOB NOT NULL,                -- float32, little-endian
    checksum BLOB NOT NULL
);
CREATE INDEX faces_of_photo ON faces (digest);
CREATE TABLE thumbnails (
    face INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL,
    checksum BLOB NOT NULL
);
CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, checksum BLOB NOT NULL);
CREATE TABLE members (
    face INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    is_settled INTEGER NOT NULL,
    checksum BLOB NOT NULL
);
CREATE INDEX members_of_person ON members (person);
CREATE TABLE refusals (
    face INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    checksum BLOB NOT NULL,
    PRIMARY KEY (face, person)
) WITHOUT ROWID;
CREATE INDEX refusals_of_person ON refusals (person);
"""
_REASONS: Final = {
    "SQLITE_FULL": "the disk is full; the change was not made",
    "SQLITE_IOERR": "reading or writing failed; a change under way was not made",
    "SQLITE_READONLY": "it cannot be written to: check the permissions of the file and of its folder",
    "SQLITE_CANTOPEN": "it cannot be opened: check the permissions of the file and of its folder",
    "SQLITE_BUSY": "another process is writing to it; try again later",
}
_DAMAGED: Final = (
    "the file is damaged, or holds no photo collection: bring it back from a backup, or delete it and begin "
    "anew"
)


class PhotoState:
    """The file in which a collection's faces, people and the user's decisions are kept.

    One thread and one process at a time write; several may have it open.

    Args:
        path: the file.
        create: make it if it is missing.

    Attributes:
        path: as given.

    Raises:
        GalleryError: missing (unless `create`), damaged, no such file, or it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise GalleryError(
                f"nothing is known of these photos: there is no {self.path}; run `vultus cluster` first"
            )
        with self._naming():
            self._connection = _open(self.path)
            try:
                _prepare(self._connection, self.path)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is no mistake."""
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Within: one consistent state of the file.

        Raises:
            GalleryError: the file is damaged or closed.
        """
        with self._naming(), transaction(self._connection, begin="BEGIN"):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Within: one transaction, on the disk at the end, undone if anything is raised.

        Raises:
            GalleryError: damaged, closed, not writable, the disk is full, or locked for too long.
        """
        with self._naming(), transaction(self._connection):
            yield self._connection

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Turn what SQLite raises into an error that names the file and says what to do."""
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise GalleryError(f"{self.path}: it is closed, or used by another thread ({error})") from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            code = getattr(error, "sqlite_errorname", "")
            reason = next((text for key, text in _REASONS.items() if code.startswith(key)), _DAMAGED)
            raise GalleryError(f"{self.path}: {reason} ({error})") from error


def sealed(table: str, *fields: Any) -> tuple[Any, ...]:
    """A row with the checksum that belongs to it, as its last column."""
    return (*fields, _checksum(table, fields))


def unsealed(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row without its checksum, once that is known to be right.

    Raises:
        sqlite3.DatabaseError: it is not; `PhotoState` tells it as the damage that it is.
    """
    *fields, checksum = row
    if checksum != _checksum(table, fields):
        raise sqlite3.DatabaseError(f"a row of the table {table} is not as it was written")
    return tuple(fields)


def _checksum(table: str, fields: Any) -> bytes:
    return blake2b(ascii((table, *fields)).encode(), digest_size=16).digest()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return open_private(path, pragmas=PRAGMAS, wait_s=WAIT_S)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise GalleryError(f"{path}: it cannot be opened or made ({error}); name another file") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file; refuse a file that is something else."""
    if _is_ours(connection, path):
        return
    with transaction(connection):
        if not _is_ours(connection, path):  # again: now nobody else writes
            for statement in TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has our tables; False for one that is empty, as a new one is."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (APPLICATION_ID, VERSION):
        return True
    if application == APPLICATION_ID:
        raise GalleryError(
            f"{path}: its version is {version}, this Vultus reads {VERSION}: was it made by a newer one?"
        )
    if application or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise GalleryError(f"{path}: this SQLite database holds no photo collection; name another file")
    return False
