"""What is done already: a small database beside the gallery, by content hash.

A batch of faces is written in three steps, each on the disk before the next begins:

1. the manifest notes which contents the batch has, and that it is begun;
2. the faces go where they belong;
3. the manifest notes that the batch is written, and what became of each photo.

Killed before 1 or after 3, nothing is in doubt. In between, the next run asks the place itself which of the
contents arrived (`unfinished`, `settle`), and does the others again. So every content is there exactly once.

Photos are known by name and stamp (size and time): while these stay, they are not read again. Contents are
known by their SHA-256, with the person where there is one: a second copy is noted as repeated.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, Self

from filelock import FileLock, Timeout

from vultus.batch.source import Photo
from vultus.batch.work import PhotoFaces
from vultus.errors import InputError
from vultus.image import replace_file
from vultus.sqlite import transaction

PAGE: Final = 1000  # rows at once
VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE sources (id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE);
CREATE TABLE photos (
    seq INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL, place BLOB NOT NULL,
    stamp TEXT NOT NULL, start INTEGER, n_bytes INTEGER NOT NULL, folder TEXT NOT NULL, run INTEGER NOT NULL,
    state TEXT NOT NULL, digest BLOB, error TEXT, reason TEXT, UNIQUE (source, name));
CREATE INDEX photos_to_do ON photos (source, seq) WHERE state = 'listed';
CREATE TABLE contents (
    key TEXT PRIMARY KEY, photo INTEGER NOT NULL, faces INTEGER NOT NULL, batch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX contents_of_batch ON contents (batch);
CREATE TABLE batches (id INTEGER PRIMARY KEY AUTOINCREMENT, is_written INTEGER NOT NULL);
"""
_LIST: Final = """
INSERT INTO photos (source, name, place, stamp, start, n_bytes, folder, run, state, error, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, name) DO UPDATE SET
    state = CASE WHEN stamp = excluded.stamp AND state NOT IN (?, 'unreadable') THEN state
                 ELSE excluded.state END,
    stamp = excluded.stamp, place = excluded.place, start = excluded.start, n_bytes = excluded.n_bytes,
    run = excluded.run, error = coalesce(excluded.error, error), reason = coalesce(excluded.reason, reason)
"""


class State(StrEnum):
    """What became of a photo."""

    LISTED = "listed"  # nothing yet
    INDEXED = "indexed"
    REPEATED = "repeated"  # its very bytes were indexed from another file
    QUARANTINED = "quarantined"  # it cannot be used
    UNREADABLE = "unreadable"  # it could not even be listed: asked again in every run


@dataclass(frozen=True, slots=True)
class Content:
    """What is indexed once.

    Attributes:
        digest: SHA-256 of the photo's bytes, hexadecimal.
        person: whose it is; empty where nobody says.
        faces: how many were found.
    """

    digest: str
    person: str
    faces: int

    @property
    def key(self) -> str:
        """Names it in the manifest."""
        return f"{self.digest}/{self.person}"


class Manifest:
    """Open, for one run at a time. Not for several threads.

    Args:
        path: the file; made if missing.

    Attributes:
        path: as given.
        is_new: whether nothing has been written under it yet.

    Raises:
        InputError: another run has it open, or it is no manifest.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(fspath(path))
        self._lock = FileLock(f"{self.path}.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise InputError(f"another run has the manifest {self.path} open: wait for it to end") from error
        except OSError as error:
            raise InputError(f"the manifest {self.path} cannot be made: {error}") from error
        try:
            self._db = _opened(self.path)
        except BaseException:
            self._lock.release()
            raise
        self.is_new = not self._value("SELECT count(*) FROM (SELECT 1 FROM batches LIMIT 1)")
        self._run = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others have it; closing twice is no mistake."""
        self._db.close()
        self._lock.release()

    def agree(self, settings: Mapping[str, str]) -> None:
        """Note how the photos are indexed, or refuse to go on in another way.

        Raises:
            InputError: the manifest was begun in another way.
        """
        begun = dict(self._db.execute("SELECT name, value FROM settings"))
        for name, value in settings.items():
            if begun.get(name, value) != value:
                raise InputError(
                    f"the manifest {self.path} was begun with {name} {begun[name]}, this run has {value}: go "
                    "on as it was begun, or name another manifest (--manifest)"
                )
        with self._transaction():
            rows = list(settings.items())
            self._db.executemany("INSERT OR IGNORE INTO settings VALUES (?, ?)", rows)

    def setting(self, name: str) -> str | None:
        """What was noted under this name; None where nothing was."""
        found = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def list_photos(self, address: str, photos: Iterable[Photo], *, retry: bool = False) -> int:
        """Take down what is at an address now; what is settled stays so while its stamp stays.

        Args:
            address: of the source.
            photos: all of them.
            retry: whether photos in quarantine are to be tried again.

        Returns:
            The number of the source.
        """
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO sources (address) VALUES (?)", (address,))
        source: int = self._value("SELECT id FROM sources WHERE address = ?", address)
        self._run = 1 + self._value("SELECT coalesce(max(run), 0) FROM photos WHERE source = ?", source)
        again = State.QUARANTINED if retry else State.LISTED
        rows = (self._listed(source, photo) for photo in photos)
        while page := list(islice(rows, PAGE)):
            with self._transaction():
                self._db.executemany(_LIST, [(*row, again) for row in page])
        return source

    def counts(self, source: int) -> dict[State, int]:
        """How many of the photos that are there now are in each state."""
        query = "SELECT state, count(*) FROM photos WHERE source = ? AND run = ? GROUP BY state"
        found = {State(state): count for state, count in self._db.execute(query, (source, self._run))}
        return {state: found.get(state, 0) for state in State}

    def to_do(self, source: int) -> Iterator[Photo]:
        """The photos that nothing has become of yet, in order; others may be settled meanwhile."""
        query = (
            "SELECT seq, name, place, stamp, start, n_bytes, folder FROM photos "
            "WHERE source = ? AND seq > ? AND run = ? AND state = 'listed' ORDER BY seq LIMIT ?"
        )
        last = 0
        while page := self._db.execute(query, (source, last, self._run, PAGE)).fetchall():
            for _, name, place, *rest in page:
                yield Photo(name, os.fsdecode(place), *rest)
            last = page[-1][0]

    def known(self, keys: Collection[str]) -> set[str]:
        """Those of these contents that have been indexed."""
        query = "SELECT key FROM contents WHERE key = ?"
        return {row[0] for key in keys for row in self._db.execute(query, (key,))}

    def begin(self, source: int, fresh: Sequence[PhotoFaces]) -> int:
        """Note that these are about to be written; the number of the batch."""
        with self._transaction():
            number = self._db.execute("INSERT INTO batches (is_written) VALUES (0)").lastrowid or 0
            self._db.executemany(
                "INSERT INTO contents SELECT ?, seq, ?, ? FROM photos WHERE source = ? AND name = ?",
                [(one.key, len(one.faces), number, source, one.photo.name) for one in fresh],
            )
        return number

    def finish(self, source: int, number: int, settled: Mapping[State, Sequence[PhotoFaces]]) -> None:
        """Note that a batch is written, and what became of its photos."""
        rows = [
            (state, bytes.fromhex(one.digest), one.error or None, one.reason or None, source, one.photo.name)
            for state, answers in settled.items()
            for one in answers
        ]
        update = (
            "UPDATE photos SET state = ?, digest = ?, error = ?, reason = ? WHERE source = ? AND name = ?"
        )
        with self._transaction():
            self._db.executemany(update, rows)
            self._db.execute("UPDATE batches SET is_written = 1 WHERE id = ?", (number,))

    def unfinished(self) -> dict[int, list[Content]]:
        """The batches that a run left begun, with their contents."""
        query = "SELECT id FROM batches WHERE NOT is_written ORDER BY id"
        return {number: self._contents(number) for (number,) in self._db.execute(query).fetchall()}

    def settle(self, number: int, arrived: Collection[str]) -> None:
        """End a batch that a run left begun: what did not arrive is to be done again."""
        with self._transaction():
            for content in self._contents(number):
                if content.key not in arrived:
                    self._db.execute("DELETE FROM contents WHERE key = ?", (content.key,))
            theirs = "SELECT photo FROM contents WHERE batch = ?"
            self._db.execute(f"UPDATE photos SET state = 'indexed' WHERE seq IN ({theirs})", (number,))  # noqa: S608
            self._db.execute("UPDATE batches SET is_written = 1 WHERE id = ?", (number,))

    def face_count(self) -> int:
        """How many faces were written."""
        return int(self._value("SELECT coalesce(sum(faces), 0) FROM contents"))

    def write_quarantine(self, path: Path) -> int:
        """Write what cannot be used, one JSON object a line; the number of lines.

        Raises:
            InputError: the place cannot be written.
        """
        query = (
            "SELECT address, name, error, reason, hex(digest) FROM photos "
            "JOIN sources ON sources.id = source WHERE state IN ('quarantined', 'unreadable') ORDER BY seq"
        )
        count = 0
        with replace_file(path) as stream:
            for address, name, error, reason, digest in self._db.execute(query):
                told = {"source": address, "photo": name, "error": error, "reason": reason}
                told |= {"sha256": digest.lower() or None}
                stream.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
                count += 1
        return count

    def _listed(self, source: int, photo: Photo) -> tuple[object, ...]:
        state = State.UNREADABLE if photo.problem else State.LISTED
        told = ("image_error", photo.problem) if photo.problem else (None, None)
        where = (os.fsencode(photo.place), photo.stamp, photo.start, photo.n_bytes, photo.folder)
        return (source, photo.name, *where, self._run, state, *told)

    def _contents(self, number: int) -> list[Content]:
        query = "SELECT key, faces FROM contents WHERE batch = ?"
        rows = self._db.execute(query, (number,)).fetchall()
        parted = ((*key.partition("/"), faces) for key, faces in rows)
        return [Content(digest, person, faces) for digest, _, person, faces in parted]

    def _value(self, query: str, *values: object) -> Any:
        return self._db.execute(query, values).fetchone()[0]

    def _transaction(self) -> AbstractContextManager[None]:
        return transaction(self._db)


def _opened(path: Path) -> sqlite3.Connection:
    """The database, with its tables.

    Raises:
        InputError: it cannot be opened, or is something else.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise InputError(f"the manifest {path} cannot be opened: {error}") from error
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version not in {0, VERSION} or (version == 0 and tables):
        raise InputError(f"{path} is a database, but no manifest of this version of Vultus")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # a batch must not be forgotten that was begun
    if version == 0:
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
