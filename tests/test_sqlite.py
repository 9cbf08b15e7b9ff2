"""Changes are made wholly or not at all, in files that nobody else may read."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vultus.sqlite import chunks_of, empty_log, open_private, transaction


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_private(tmp_path / "file.db", pragmas=["journal_mode = WAL"], wait_s=0.1)) as opened:
        opened.execute("CREATE TABLE people (name TEXT UNIQUE)")
        yield opened


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM people ORDER BY name")]


def test_the_file_is_for_its_owner_alone(connection: sqlite3.Connection, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "file.db").stat().st_mode) == 0o600


def test_what_ends_well_is_committed(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO people VALUES ('Ada')")
    assert names(connection) == ["Ada"]
    assert not connection.in_transaction


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whatever_is_raised_undoes_all_of_it(
    connection: sqlite3.Connection, error: type[BaseException]
) -> None:
    def enrol() -> None:
        with transaction(connection):
            connection.execute("INSERT INTO people VALUES ('Ada')")
            raise error

    with pytest.raises(error):
        enrol()
    assert names(connection) == []
    assert not connection.in_transaction


def test_the_error_that_is_told_is_the_first_one(connection: sqlite3.Connection) -> None:
    """SQLite has ended the transaction by itself: to roll it back again would raise another error."""

    def enrol_twice() -> None:
        with transaction(connection):
            connection.execute("INSERT INTO people VALUES ('Ada')")
            connection.execute("INSERT OR ROLLBACK INTO people VALUES ('Ada')")

    with pytest.raises(sqlite3.IntegrityError):
        enrol_twice()
    assert names(connection) == []


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    pragmas = ["foreign_keys = ON"]
    with closing(open_private(tmp_path / "file.db", pragmas=pragmas, wait_s=0.1)) as connection:
        connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE faces (of REFERENCES people DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.execute("INSERT INTO faces VALUES (7)")  # nobody; noticed when it is committed
        assert not connection.in_transaction


def test_the_log_is_emptied_unless_others_read(connection: sqlite3.Connection, tmp_path: Path) -> None:
    log = tmp_path / "file.db-wal"
    with closing(open_private(tmp_path / "file.db", pragmas=[], wait_s=0.1)) as other:
        other.execute("BEGIN")
        assert names(other) == []
        with transaction(connection):
            connection.execute("INSERT INTO people VALUES ('Ada')")
        empty_log(connection)
        assert b"Ada" in log.read_bytes()
    empty_log(connection)
    assert log.stat().st_size == 0


@pytest.mark.parametrize("is_shared", [True, False])
def test_threads_share_it_only_where_it_is_said(tmp_path: Path, is_shared: bool) -> None:
    with closing(
        open_private(tmp_path / "file.db", pragmas=[], wait_s=0.1, is_shared=is_shared)
    ) as connection:
        outcomes: list[str] = []

        def use() -> None:
            try:
                connection.execute("SELECT 1")
                outcomes.append("used")
            except sqlite3.ProgrammingError:
                outcomes.append("refused")

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert outcomes == ["used" if is_shared else "refused"]


OPENS_AND_CLOSES = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM people'); c.close()"
)


@pytest.mark.parametrize("how", ["opened again", "read"])
def test_what_is_done_to_the_file_leaves_the_locks_of_a_connection(
    connection: sqlite3.Connection, tmp_path: Path, how: str
) -> None:
    """Without them another process that closes the file deletes the log that we write to."""
    path = tmp_path / "file.db"
    if how == "opened again":
        open_private(path, pragmas=(), wait_s=0.1).close()
    else:
        for file in (path, tmp_path / "file.db-shm"):
            assert b"".join(chunks_of(file, size=1000)) == b"".join(chunks_of(file, size=7)) != b""
    subprocess.run([sys.executable, "-c", OPENS_AND_CLOSES, str(path)], check=True)
    assert (tmp_path / "file.db-wal").exists()
    connection.execute("INSERT INTO people VALUES ('Ada')")
    with closing(sqlite3.connect(path)) as other:
        assert names(other) == ["Ada"]
