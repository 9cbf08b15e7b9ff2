"""The tables of the galleries in a PostgreSQL database, and how older ones become present ones.

Everything stands in the schema `vultus`; `vultus.schema_versions` lists the migrations that a database has
been through, with their times. A migration that has been released is never edited: a change of the tables
is a new one at the end. All galleries of a database share the tables: each row carries its gallery's number.
"""

from psycopg import Connection, errors

from vultus.errors import GalleryError

OLDEST_SERVER = 150000  # as PostgreSQL counts: 15.0
OLDEST_PGVECTOR = (0, 8, 0)  # the first whose index goes on where a filter or a limit left too little
LOCK = 0x56554C54  # "VULT": one client at a time makes or upgrades the tables

_FIRST = """
CREATE TABLE vultus.galleries (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    contract text NOT NULL DEFAULT '',        -- of all vectors; means nothing while there are none
    dimension integer NOT NULL DEFAULT 0,
    templates bigint NOT NULL DEFAULT 0,      -- how many there are, without counting them
    hnsw_m integer,                           -- these are NULL without an index
    hnsw_ef_construction integer,
    hnsw_ef_search integer,
    hnsw_recall double precision,             -- at rank 1, measured when the index was built
    hnsw_probes integer,                      -- with so many
    hnsw_templates bigint                     -- among so many
);
CREATE TABLE vultus.people (
    seq bigint GENERATED ALWAYS AS IDENTITY,  -- in order of enrolment
    gallery_id integer NOT NULL REFERENCES vultus.galleries (id),
    id text NOT NULL,                         -- 32 hexadecimal digits, survives a rename
    name text NOT NULL,
    name_key text NOT NULL,                   -- the name as it is compared
    metadata text NOT NULL,                   -- a JSON object
    created text NOT NULL,                    -- ISO 8601, UTC
    template_count integer NOT NULL,          -- shows a template that got lost
    checksum bytea NOT NULL,                  -- over the columns from id to template_count
    PRIMARY KEY (gallery_id, id),
    UNIQUE (gallery_id, name_key)
);
CREATE SEQUENCE vultus.template_ids;          -- never used twice
CREATE TABLE vultus.templates (
    id bigint NOT NULL,
    gallery_id integer NOT NULL,
    identity_id text NOT NULL,
    contract text NOT NULL,
    dimension integer NOT NULL,
    vector vector NOT NULL,
    quality double precision NOT NULL,
    source text NOT NULL,
    created text NOT NULL,
    crop_digest bytea,                        -- over the crop, which is verified only when it is read
    checksum bytea NOT NULL,                  -- over all columns but itself, the crop and the gallery
    crop bytea,                               -- PNG
    PRIMARY KEY (gallery_id, id),
    FOREIGN KEY (gallery_id, identity_id) REFERENCES vultus.people (gallery_id, id)
);
ALTER TABLE vultus.templates ALTER COLUMN vector SET STORAGE PLAIN;   -- in the row: an exact search reads all
ALTER TABLE vultus.templates ALTER COLUMN crop SET STORAGE EXTERNAL;  -- outside, and PNG does not get smaller
CREATE INDEX templates_of_person ON vultus.templates (gallery_id, identity_id, id);
CREATE TABLE vultus.settings (
    gallery_id integer NOT NULL REFERENCES vultus.galleries (id),
    name text NOT NULL,
    value text NOT NULL,
    changed text NOT NULL,                    -- ISO 8601, UTC
    checksum bytea NOT NULL,                  -- over name, value and changed
    PRIMARY KEY (gallery_id, name)
);
CREATE TABLE vultus.audit (
    gallery_id integer NOT NULL REFERENCES vultus.galleries (id),
    seq bigint NOT NULL,
    at text NOT NULL, actor text NOT NULL, action text NOT NULL,
    identity_id text NOT NULL, name text NOT NULL, detail text NOT NULL,
    checksum bytea NOT NULL,
    PRIMARY KEY (gallery_id, seq)
);
-- ANALYZE copies samples of a column into pg_statistic, where an erased person would live on.
ALTER TABLE vultus.people ALTER COLUMN id SET STATISTICS 0, ALTER COLUMN name SET STATISTICS 0,
    ALTER COLUMN name_key SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0,
    ALTER COLUMN checksum SET STATISTICS 0;
ALTER TABLE vultus.templates ALTER COLUMN identity_id SET STATISTICS 0,
    ALTER COLUMN vector SET STATISTICS 0, ALTER COLUMN source SET STATISTICS 0,
    ALTER COLUMN crop_digest SET STATISTICS 0, ALTER COLUMN checksum SET STATISTICS 0,
    ALTER COLUMN crop SET STATISTICS 0;
ALTER TABLE vultus.settings ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN value SET STATISTICS 0,
    ALTER COLUMN checksum SET STATISTICS 0;
ALTER TABLE vultus.audit ALTER COLUMN actor SET STATISTICS 0, ALTER COLUMN identity_id SET STATISTICS 0,
    ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN detail SET STATISTICS 0,
    ALTER COLUMN checksum SET STATISTICS 0;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
VERSION = len(MIGRATIONS)


def check_server(server: int, pgvector: str | None, *, where: str) -> None:
    """Refuse a server on which a gallery would not work.

    Args:
        server: its version as PostgreSQL counts, 180004 for 18.4.
        pgvector: the extension's version, None where the server has none to install.
        where: the gallery, for the message.

    Raises:
        GalleryError: PostgreSQL is older than 15, or pgvector missing or older than 0.8.
    """
    if server < OLDEST_SERVER:
        raise GalleryError(
            f"gallery {where}: the server is PostgreSQL {server // 10000}, a gallery needs 15 or newer"
        )
    if pgvector is None:
        raise GalleryError(
            f"gallery {where}: the server lacks the extension pgvector; install it there (Debian and Ubuntu: "
            f"apt install postgresql-{server // 10000}-pgvector), or choose it in your provider's settings"
        )
    if tuple(int(part) for part in pgvector.split(".")[:3]) < OLDEST_PGVECTOR:
        raise GalleryError(
            f"gallery {where}: the server has pgvector {pgvector}, a gallery needs 0.8.0 or newer; after "
            "installing it there, run ALTER EXTENSION vector UPDATE in this database"
        )


def prepare(connection: Connection, *, where: str, create: bool, read_only: bool) -> None:
    """Check the server, and bring the tables to the present version; nothing happens where they have it.

    Raises:
        GalleryError: the server is too old, lacks pgvector, or has tables of a newer Vultus; or tables are
            missing without `create`, or old with `read_only`.
    """
    query = "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = %s"
    extension = connection.execute(query, ("vector",)).fetchone()
    check_server(connection.info.server_version, extension[0] if extension else None, where=where)
    version = _version(connection)
    if version > VERSION:
        raise GalleryError(
            f"gallery {where}: its schema version is {version}, made by a newer Vultus; this one reads up to "
            f"{VERSION}. Nothing was changed: upgrade Vultus"
        )
    if not version and not create:
        raise no_gallery(where)
    if version < VERSION and read_only:
        raise GalleryError(
            f"gallery {where}: its schema version is {version}, this Vultus reads {VERSION}; open it once "
            "for writing, which upgrades it"
        )
    if version < VERSION:
        _migrate(connection, where=where)


def no_gallery(where: str) -> GalleryError:
    """What to raise where nobody has made a gallery yet."""
    return GalleryError(
        f"there is no gallery at {where}: enrol somebody first (vultus enrol), or name another (--gallery)"
    )


def _version(connection: Connection) -> int:
    there = connection.execute("SELECT to_regclass('vultus.schema_versions')").fetchone()
    if there is None or there[0] is None:
        return 0
    row = connection.execute("SELECT max(version) FROM vultus.schema_versions").fetchone()
    return (row and row[0]) or 0


def _migrate(connection: Connection, *, where: str) -> None:
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            connection.execute("CREATE SCHEMA IF NOT EXISTS vultus")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vultus.schema_versions "
                "(version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
            )
            for version in range(_version(connection) + 1, VERSION + 1):  # again: now nobody else does it
                connection.execute(MIGRATIONS[version - 1])
                connection.execute("INSERT INTO vultus.schema_versions (version) VALUES (%s)", (version,))
    except errors.InsufficientPrivilege as error:
        raise GalleryError(
            f"gallery {where}: this user may not make the tables ({_first_line(error)}). Have an "
            "administrator run CREATE EXTENSION vector and GRANT CREATE in this database, or open the gallery"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
