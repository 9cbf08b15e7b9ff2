"""What the SQLite files of several rooms share: for their owner alone, and changed wholly or not at all."""

import os
import sqlite3
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
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
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
