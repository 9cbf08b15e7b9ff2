"""What the SQLite files of several rooms share: for their owner alone, and changed wholly or not at all.

**Nobody but SQLite opens and closes such a file.** A process that closes any descriptor of a file loses all
its POSIX locks on it, those of its connections too. Whoever closes the file next, in another process, then
takes itself for the last one and deletes the write-ahead log, and what the first one commits from there on is
lost (https://www.sqlite.org/howtocorrupt.html, 2.2). `chunks_of` is for those who have to read the bytes.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def open_private(
    path: Path, *, pragmas: Iterable[str], wait_s: float, is_shared: bool = False
) -> sqlite3.Connection:
    """A connection to a file, which is made if missing, readable by its owner only.

    Transactions are begun by hand.

    Args:
        path: the file.
        pragmas: set before anything else is done, as "name = value".
        wait_s: how long to wait for another process's transaction before giving up.
        is_shared: whether several threads use it, one at a time; else only the one that opened it may.

    Raises:
        OSError, ValueError: it cannot be made; the latter for a null byte in the path.
        sqlite3.Error: it cannot be opened, or is no database.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with suppress(FileExistsError):  # one that is there is left to SQLite
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=not is_shared)
    set_pragmas(connection, pragmas)
    return connection


def set_pragmas(connection: sqlite3.Connection, pragmas: Iterable[str]) -> None:
    """Set each, as "name = value"; a connection that refuses one is closed.

    Raises:
        sqlite3.Error: it refuses, perhaps since the file is no database.
    """
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise


@contextmanager
def transaction(connection: sqlite3.Connection, *, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Within: one transaction, committed at the end, undone if anything is raised.

    Args:
        connection: with `isolation_level=None`, and in no transaction.
        begin: "BEGIN" where nothing is written.

    Raises:
        sqlite3.Error: as SQLite says.
    """
    connection.execute(begin)
    with committed(connection):
        yield


@contextmanager
def committed(connection: sqlite3.Connection) -> Iterator[None]:
    """The same for a transaction that has begun."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself on a full disk
            connection.execute("ROLLBACK")
        raise


def empty_log(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log, in which what was deleted may still stand; as far as others allow.

    What fails here fails quietly: the deletion itself is committed, and must not look as if it were not.
    """
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def chunks_of(path: Path, *, size: int) -> Iterator[bytes]:
    """The bytes of a file on which a connection of this process may have locks, in chunks.

    Raises:
        OSError: it cannot be read.
    """
    if os.name == "nt":  # locks belong to the handle there
        with path.open("rb") as stream:
            yield from iter(lambda: stream.read(size), b"")
        return
    descriptor, offset = _held(path), 0
    while chunk := os.pread(descriptor, size, offset):
        yield chunk
        offset += len(chunk)


_HELD: dict[tuple[int, int], int] = {}
_HOLDING = threading.Lock()


def _held(path: Path) -> int:
    """A descriptor of this file that stays open until the process ends; one for each file."""
    with _HOLDING:
        found = path.stat()
        key = (found.st_dev, found.st_ino)
        if key not in _HELD:
            _HELD[key] = os.open(path, os.O_RDONLY)
        return _HELD[key]
