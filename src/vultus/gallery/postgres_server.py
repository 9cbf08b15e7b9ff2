"""The PostgreSQL server under a gallery: a pool of connections, transactions, its errors named.

An acknowledged write survives a crash of either side: it is acknowledged after COMMIT, and PostgreSQL's
`synchronous_commit` puts that on the disk first. Writers of one gallery take turns (its row in
`vultus.galleries` is locked), readers never wait; every read sees one state (REPEATABLE READ).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from pgvector.psycopg import register_vector
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from vultus.errors import GalleryError, InputError
from vultus.gallery.postgres_rows import Hnsw, PostgresRows
from vultus.gallery.postgres_schema import LOCK, VERSION, no_gallery, prepare

CONNECT_S = 10
WAIT_S = 30.0
MAINTENANCE = LOCK + 1  # an advisory lock
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
_REASONS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (PoolTimeout, "no connection became free in time; allow more of them, or try again later"),
    (errors.QueryCanceled, "it took longer than statement_timeout allows; nothing was changed"),
    (errors.LockNotAvailable, "somebody else keeps it locked; nothing was changed, try again later"),
    (errors.DeadlockDetected, "it waited for somebody who waited for it; nothing was changed, try again"),
    (errors.InsufficientPrivilege, "this user may not do that"),
    (errors.InvalidPassword, "the server refuses this user or password"),
    (errors.DiskFull, "the server's disk is full; the change was not made"),
    (errors.UndefinedTable, "the tables of a gallery are missing or damaged"),
    (errors.UndefinedColumn, "the tables of a gallery are missing or damaged"),
    (errors.ProgramLimitExceeded, "a row is too long for the server"),
    (psycopg.OperationalError, "the server cannot be reached, or went away; a change under way was not made"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gallery is.

    Attributes:
        conninfo: for libpq, password and all.
        gallery: its name in the database.
        where: the same for people, without the password.
    """

    conninfo: str
    gallery: str
    where: str

    @classmethod
    def parse(cls, uri: str) -> "Address":
        """Take `postgresql://user@host:5432/database?gallery=NAME` apart; the name may be left out.

        Raises:
            InputError: libpq cannot read it.
        """
        start, _, query = uri.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        gallery = options.pop("gallery", "") or "default"
        try:
            conninfo = make_conninfo(f"{start}?{urlencode(options, quote_via=quote)}")
            known = conninfo_to_dict(conninfo)
        except psycopg.ProgrammingError as error:
            raise InputError(
                f"this is no address of a PostgreSQL gallery ({str(error).strip()}): expected "
                "postgresql://user@host:5432/database?gallery=name"
            ) from error
        host, port = known.get("host") or "localhost", known.get("port") or 5432
        where = f"postgresql://{host}:{port}/{known.get('dbname') or ''}?gallery={gallery}"
        return cls(conninfo, gallery, where)


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Turn what PostgreSQL raises into a GalleryError that names the gallery and says what to do."""
    try:
        yield
    except psycopg.Error as error:
        reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "it cannot be used")
        raise GalleryError(f"gallery {where}: {reason} ({str(error).strip()})") from error


class PostgresServer:
    """One gallery in a database, as a `Store`.

    Args:
        uri: `postgresql://user@host:5432/database?gallery=NAME`.
        create: make the tables, or the gallery, where they are missing.
        read_only: do not even upgrade the tables.
        connections: at most so many at once.
        statement_timeout_s: what takes longer is given up.

    Raises:
        InputError: no such address.
        GalleryError: the server is not there, too old or without pgvector, or the gallery is missing.
    """

    def __init__(
        self,
        uri: str,
        *,
        create: bool = True,
        read_only: bool = False,
        connections: int = 8,
        statement_timeout_s: float = 30.0,
    ) -> None:
        self._address = Address.parse(uri)
        # In each transaction: a session's settings would not survive a pooler between us and the server.
        self._settings = (
            f"SET LOCAL statement_timeout = {round(statement_timeout_s * 1000)}; "
            f"SET LOCAL lock_timeout = {round(WAIT_S * 1000)}; SET LOCAL jit = off"
        )
        with naming(self.where):
            with self.connect() as connection:
                prepare(connection, where=self.where, create=create, read_only=read_only)
                self.gallery_id = self._find(connection, create=create)
            self._pool = ConnectionPool(
                self._address.conninfo,
                kwargs={"autocommit": True, "connect_timeout": CONNECT_S},
                min_size=0,
                max_size=connections,
                timeout=WAIT_S,
                configure=register_vector,
                check=ConnectionPool.check_connection,  # whichever died with the server is replaced
                open=True,
            )

    @property
    def where(self) -> str:
        """Names the gallery in messages; holds no password."""
        return self._address.where

    def connect(self) -> Connection:
        """A connection beside the pool, for what takes long and needs settings of its own."""
        return psycopg.connect(self._address.conninfo, autocommit=True, connect_timeout=CONNECT_S)

    @contextmanager
    def maintenance(self) -> Iterator[Connection]:
        """A connection for what rewrites tables or indexes, one client at a time in the whole database.

        Two such statements would wait for each other for ever, and so would one and somebody who waits in a
        transaction; hence one asks again and again.
        """
        with naming(self.where), self.connect() as connection:
            register_vector(connection)
            connection.execute("SET statement_timeout = 0")
            while connection.execute("SELECT pg_try_advisory_lock(%s)", (MAINTENANCE,)).fetchone() == (
                False,
            ):
                time.sleep(0.2)
            yield connection

    def close(self) -> None:
        """Release the connections; closing twice is no mistake."""
        self._pool.close()

    @contextmanager
    def reading(self) -> Iterator[PostgresRows]:
        """Within: one state of the gallery.

        Raises:
            GalleryError: the server is not there, or slower than `statement_timeout_s`.
        """
        with self._transaction(_READ) as rows:
            yield rows

    @contextmanager
    def writing(self) -> Iterator[PostgresRows]:
        """Within: one transaction, and nobody else's on this gallery.

        Raises:
            GalleryError: the same, or somebody else's transaction lasts too long.
        """
        with self._transaction(_WRITE) as rows:
            rows.lock()
            yield rows

    def size(self) -> tuple[int, int, str]:
        """Bytes of the tables (all galleries of the database), their version, and the index."""
        query = (
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relnamespace = 'vultus'::regnamespace AND relkind = 'r'"
        )
        with self._transaction(_READ) as rows:
            found = rows.connection.execute(query).fetchone()
            hnsw = rows.hnsw()
        n_bytes = int(found[0]) if found else 0
        return n_bytes, VERSION, "none: every template is compared" if hnsw is None else str(hnsw)

    @contextmanager
    def rows_with(self, hnsw: Hnsw) -> Iterator[PostgresRows]:
        """One state, searched with these settings of the index, before they are anybody's."""
        with self._transaction(_READ) as rows:
            yield PostgresRows(rows.connection, self.gallery_id, hnsw=hnsw)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[PostgresRows]:
        with naming(self.where), self._pool.connection() as connection:
            connection.execute(f"{begin}; {self._settings}")
            try:
                yield PostgresRows(connection, self.gallery_id)
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
            self._commit(connection)

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            raise GalleryError(
                f"gallery {self.where}: the server went away while a change was being committed: it was made "
                f"whole or not at all; look before you repeat it ({str(error).strip()})"
            ) from error

    def _find(self, connection: Connection, *, create: bool) -> int:
        name = self._address.gallery
        if create:
            connection.execute(
                "INSERT INTO vultus.galleries (name) VALUES (%s) ON CONFLICT (name) DO NOTHING", (name,)
            )
        row = connection.execute("SELECT id FROM vultus.galleries WHERE name = %s", (name,)).fetchone()
        if row is None:
            raise no_gallery(self.where)
        gallery_id: int = row[0]
        return gallery_id
