"""The SQLite file under a gallery: opened safely, written in transactions, its errors named.

An acknowledged write survives a crash: write-ahead log, `synchronous=FULL` (each commit is on the disk
before it is reported), foreign keys on. What is deleted is overwritten (`secure_delete`), since it is
somebody's face.
"""

import os
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR

from vultus.errors import GalleryError
from vultus.gallery.schema import VERSION, migrate, version_of
from vultus.gallery.vault import SealingConnection, Vault
from vultus.sqlite import committed, empty_log, set_pragmas, transaction

PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "fullfsync = ON",  # macOS: a plain fsync leaves the data in the drive's own cache
    "secure_delete = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
WAIT_S = 30.0
_REASONS = {
    "SQLITE_FULL": "the disk is full, or the file may not grow; the change was not made",
    "SQLITE_IOERR": "reading or writing failed; a change under way was not made",
    "SQLITE_READONLY": "it cannot be written to: check the permissions of the file and of its folder",
    "SQLITE_CANTOPEN": "it cannot be opened: check the permissions of the file and of its folder",
    "SQLITE_BUSY": "another process keeps it locked; try again later",
    "SQLITE_CORRUPT": "the file is damaged; `vultus gallery salvage` copies what is intact",
    "SQLITE_CONSTRAINT": "the file is damaged; `vultus gallery salvage` copies what is intact",
    "SQLITE_NOTADB": "the file is damaged, or not a gallery at all",
    "SQLITE_ERROR": "the file is damaged, or lacks what a gallery has",
}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into a GalleryError that names the file and says what to do."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where damage garbles SQLite's message
        code = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
        reason = next((text for key, text in _REASONS.items() if code.startswith(key)), "it cannot be used")
        raise GalleryError(f"gallery {path}: {reason} ({error})") from error


class Database:
    """One gallery file: a connection that writes and one that reads, each used by one thread at a time.

    Args:
        path: the file; made if missing, unless `read_only`.
        read_only: never write, not even a newer schema.
        wait_s: how long to wait for another process's transaction before giving up.
        key: of an encrypted file; None takes the one that the environment names.

    Attributes:
        path: as given.
        read_only: as given.
        vault: seals and opens the rows.

    Raises:
        GalleryError: the file cannot be opened or made, is damaged, or is not a gallery.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, wait_s: float = WAIT_S, key: bytes | None = None
    ) -> None:
        self.path, self.vault = path, Vault(key)
        self._wait_s = wait_s
        self.read_only = read_only
        self._process, self._is_closed = os.getpid(), False
        self._writing, self._reading = threading.Lock(), threading.Lock()
        if not read_only and not path.exists():
            create(path)
        with naming(path):
            self._writer = connect(path, read_only=read_only, vault=self.vault)
            try:
                self._writer.execute("PRAGMA busy_timeout = 0")  # it waits in `_begin_writing`
                self._reader = connect(path, read_only=True, vault=self.vault)
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Close the file; closing twice is no mistake."""
        self._check_process()
        with self._writing, self._reading:
            self._is_closed = True
            self._reader.close()
            self._writer.close()

    def data_version(self) -> int:
        """A number that differs from the last call's once anybody has committed. Takes microseconds."""
        self.check_usable()
        with self._reading, naming(self.path):
            version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        return version

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Within: one consistent state of the file, whatever others write meanwhile.

        Raises:
            GalleryError: the file is damaged or closed.
        """
        self.check_usable()
        with self._reading, naming(self.path), transaction(self._reader, begin="BEGIN"):
            self.vault.refresh(self._reader)
            yield self._reader

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Within: one transaction, committed at the end, rolled back if anything is raised.

        Raises:
            GalleryError: opened read-only, damaged, closed, the disk is full, or locked for too long.
        """
        self.check_usable()
        if self.read_only:
            raise GalleryError(f"gallery {self.path}: it was opened read-only")
        with self._writing, naming(self.path):
            _begin_writing(self._writer, wait_s=self._wait_s)
            with committed(self._writer):
                self.vault.refresh(self._writer)
                yield self._writer

    def forget_deleted(self) -> None:
        """Empty the write-ahead log, as far as others allow (`vultus.sqlite.empty_log`)."""
        self.check_usable()
        with self._writing:
            empty_log(self._writer)

    def compact(self) -> bool:
        """Write the file anew without what was deleted, and empty the write-ahead log.

        Returns:
            Whether the log was emptied: not while others read.

        Raises:
            GalleryError: others write or read for too long, or the disk has no room for a second file.
        """
        self.check_usable()
        with self._writing, self._reading, naming(self.path):
            self._writer.execute("PRAGMA busy_timeout = 30000")
            try:
                self._writer.execute("VACUUM")
                busy: int = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                self._writer.execute("PRAGMA busy_timeout = 0")
        return not busy

    def check_usable(self) -> None:
        """Refuse to go on with a closed file, or with one that came over by fork().

        Raises:
            GalleryError: it is so.
        """
        self._check_process()
        if self._is_closed:
            raise GalleryError(f"gallery {self.path}: it is closed; open it again")

    def _check_process(self) -> None:
        """Neither SQLite's locks nor ours survive a fork."""
        if os.getpid() != self._process:
            raise GalleryError(
                f"gallery {self.path}: it was opened in another process; after a fork, open it again"
            )


def _begin_writing(connection: sqlite3.Connection, *, wait_s: float) -> None:
    """Begin a transaction as soon as nobody else writes.

    SQLite's own waiting grows to 100 ms between attempts: another process that writes without pause would
    starve us. Asking about every millisecond gives both their turns.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0, 0.002))  # noqa: S311 (no secret; at random, so as not to keep step)
        else:
            return


def connect(path: Path, *, read_only: bool = False, vault: Vault | None = None) -> sqlite3.Connection:
    """A connection to an existing gallery, brought to the present schema version.

    Args:
        path: the file.
        read_only: write nothing.
        vault: seals and opens the rows; by default one with the key that the environment names.

    Raises:
        GalleryError: missing, a folder, empty, not a gallery, or of a newer version.
        sqlite3.Error: anything SQLite itself finds wrong; wrap the call in `naming`.
    """
    check_exists(path)
    connection = open_file(path)
    try:
        version = version_of(connection, path)  # before anything is written
        if read_only:
            _check_present(version, path)
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            migrate(connection)
        connection.vault = vault or Vault()
        connection.vault.refresh(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_present(version: int, path: Path) -> None:
    if version < VERSION:
        raise GalleryError(
            f"gallery {path}: its schema version is {version}, this Vultus reads {VERSION}; open it once "
            "for writing, which upgrades it"
        )


def create(path: Path) -> None:
    """Make an empty gallery, whole or not at all; if another process makes it first, that one stays.

    Raises:
        GalleryError: the folder is missing, or cannot be written to.
    """
    if not path.parent.is_dir():
        raise GalleryError(f"gallery {path}: there is no folder {path.parent} to make it in")
    try:
        with unfinished(path) as fresh:
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # faces: for the owner only
            with naming(path), closing(open_file(fresh)) as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
                migrate(connection)
            publish(fresh, path)
    except FileExistsError:
        pass  # another process was first
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise GalleryError(f"gallery {path}: it cannot be made: {error}") from error


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name beside `path` to build a database under. Whatever has that name in the end is deleted."""
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield fresh
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError, ValueError):
                fresh.with_name(fresh.name + suffix).unlink()


def publish(fresh: Path, path: Path) -> None:
    """Give a finished file its name, durably.

    Raises:
        FileExistsError: the name is taken; nothing was changed.
    """
    os.link(fresh, path)  # unlike a rename it never replaces a file
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    if os.name == "nt":
        return  # a folder cannot be opened there, and NTFS keeps a journal of names
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_exists(path: Path) -> None:
    """Say in words why a path cannot be a gallery. What is in the file SQLite tells: see `vultus.sqlite`.

    Raises:
        GalleryError: missing, a folder, out of reach, or empty.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise GalleryError(f"gallery {path}: there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise GalleryError(f"gallery {path}: it cannot be read: {error}") from error
    if S_ISDIR(found.st_mode):
        raise GalleryError(f"gallery {path}: this is a folder; name a file")
    if not found.st_size:
        raise GalleryError(f"gallery {path}: the file is empty; delete it, and a new gallery is made")


def open_file(path: Path, *, mode: str = "rw") -> SealingConnection:
    """A bare connection to an existing file, whatever is in it.

    Args:
        path: the file.
        mode: "rw" (which is enough for a file without write permission, too) or "ro", which changes not a
            byte: a reader with "rw" that closes as the last one folds the write-ahead log into the file.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=WAIT_S,
        isolation_level=None,  # transactions are begun by hand
        check_same_thread=False,  # each connection has a lock
        factory=SealingConnection,
    )
    connection.text_factory = _readable
    set_pragmas(connection, PRAGMAS)
    return connection


def _readable(text: bytes) -> str:
    """Text that damage may have touched: what is no UTF-8 is left to the checksums, which name the row."""
    return text.decode(errors="replace")
