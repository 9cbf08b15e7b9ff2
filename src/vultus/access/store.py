"""The service's own file beside the gallery: keys, decisions, its audit log, answers that may be repeated.

It is kept apart from the gallery: who has a key, and who passed a door, are not part of what a gallery
exports. Like the gallery's, each change is one transaction and on the disk before the call returns, and
several processes may use the file at once.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vultus.errors import GalleryError
from vultus.sqlite import open_private, transaction

VERSION: Final = 1
WAIT_S: Final = 10.0
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "trusted_schema = OFF")
_TABLES = (
    """CREATE TABLE IF NOT EXISTS keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,        -- separated by blanks
        digest BLOB NOT NULL,        -- SHA-256 of the secret, which is stored nowhere
        created TEXT NOT NULL,
        revoked TEXT                 -- when; NULL while it is valid
    )""",
    """CREATE TABLE IF NOT EXISTS decisions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,            -- ISO 8601, UTC
        door TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reasons TEXT NOT NULL,       -- separated by blanks
        person_id TEXT NOT NULL,     -- empty where nobody was recognised
        name TEXT NOT NULL,
        similarity REAL,
        min_similarity REAL,
        key_id TEXT NOT NULL,
        request_id TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS decisions_by_time ON decisions (at)",
    """CREATE TABLE IF NOT EXISTS audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        request_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        action TEXT NOT NULL,        -- method and route
        target TEXT NOT NULL,        -- of whom or what, as it stands in the path
        status INTEGER NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS replays (
        key_id TEXT NOT NULL,
        token TEXT NOT NULL,         -- the Idempotency-Key
        request BLOB NOT NULL,       -- digest of method, path and body
        begun REAL NOT NULL,         -- seconds since 1970
        status INTEGER,              -- of the answer; NULL while the request runs
        content_type TEXT,
        body BLOB,
        PRIMARY KEY (key_id, token)
    )""",
)


def store_path(gallery: Path) -> Path:
    """Where the service's file of a gallery lies: `people.db` has `people.service.db` beside it."""
    return gallery.with_name(f"{gallery.stem}.service.db")


class Store:
    """The open file. Safe to use from several threads, and from several processes.

    Args:
        path: made if missing, readable by its owner only.

    Raises:
        GalleryError: it cannot be opened or made, is damaged, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing, self._reading = threading.Lock(), threading.Lock()
        with self._naming():
            self._writer, self._reader = _connect(path), _connect(path)  # a reader never waits for a writer
        self._make_tables()

    def close(self) -> None:
        """Close the file; closing twice is no mistake."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Within: the connection, for one thread at a time.

        Raises:
            GalleryError: the file is damaged or closed.
        """
        with self._reading, self._naming():
            yield self._reader

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Within: one transaction, committed at the end, rolled back if anything is raised.

        Raises:
            GalleryError: the file is damaged or closed, the disk is full, or locked for too long.
        """
        with self._writing, self._naming(), transaction(self._writer):
            yield self._writer

    def _make_tables(self) -> None:
        with self.reading() as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise GalleryError(f"the service's file {self.path} was made by a newer Vultus: upgrade this one")
        if version < VERSION:
            with self.writing() as connection:
                for table in _TABLES:
                    connection.execute(table)
                connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise GalleryError(f"the service's file {self.path} cannot be used: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return open_private(path, pragmas=_PRAGMAS, wait_s=WAIT_S, is_shared=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise GalleryError(f"the service's file {path} cannot be made: {error}") from error
