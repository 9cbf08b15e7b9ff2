"""The tables of a gallery, and how a file of an older version becomes one of this version.

`PRAGMA user_version` counts the migrations that a file has been through; a new file goes through all of
them. A migration that has been released is never edited: a change of the tables is a new one at the end.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from vultus.errors import GalleryError
from vultus.sqlite import transaction

APPLICATION_ID = 0x56554C54  # "VULT": tells a gallery from any other SQLite file


def _people_templates_audit(connection: sqlite3.Connection) -> None:
    connection.execute("""
        CREATE TABLE people (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- in order of enrolment
            id TEXT NOT NULL UNIQUE,           -- 32 hexadecimal digits, survives a rename
            name TEXT NOT NULL,
            name_key TEXT NOT NULL UNIQUE,     -- the name as it is compared
            metadata TEXT NOT NULL,            -- a JSON object
            created TEXT NOT NULL,             -- ISO 8601, UTC
            template_count INTEGER NOT NULL,   -- shows a template that got lost
            checksum BLOB NOT NULL             -- over the columns from id to template_count
        )""")
    connection.execute("""
        CREATE TABLE templates (
            id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
            identity_id TEXT NOT NULL REFERENCES people (id),
            contract TEXT NOT NULL,
            dimension INTEGER NOT NULL,
            vector BLOB NOT NULL,              -- float32, little-endian
            quality REAL NOT NULL,
            source TEXT NOT NULL,
            created TEXT NOT NULL,
            crop_digest BLOB,                  -- over the crop, which is verified only when it is read
            checksum BLOB NOT NULL,            -- over all columns but itself and the crop
            crop BLOB                          -- PNG
        )""")
    connection.execute("CREATE INDEX templates_of_person ON templates (identity_id)")
    connection.execute("""
        CREATE TABLE audit (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
            identity_id TEXT NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL,
            checksum BLOB NOT NULL
        )""")


def _changes(connection: sqlite3.Connection) -> None:
    """Whose row changed, for the processes that hold the vectors in memory."""
    connection.execute("""
        CREATE TABLE changes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            identity_id TEXT NOT NULL
        )""")


def _settings(connection: sqlite3.Connection) -> None:
    """What belongs to the gallery rather than to a person: calibrations, keys, retention and the like."""
    connection.execute("""
        CREATE TABLE settings (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            value TEXT NOT NULL,
            changed TEXT NOT NULL,             -- ISO 8601, UTC
            checksum BLOB NOT NULL             -- over name, value, changed
        )""")


def _other_vectors(connection: sqlite3.Connection) -> None:
    """Vectors of another contract than the gallery's, which go with their template."""
    connection.execute("""
        CREATE TABLE other_vectors (
            template_id INTEGER NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
            contract TEXT NOT NULL,
            dimension INTEGER NOT NULL,
            vector BLOB NOT NULL,
            checksum BLOB NOT NULL,
            PRIMARY KEY (template_id, contract)
        ) WITHOUT ROWID""")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _people_templates_audit,
    _changes,
    _settings,
    _other_vectors,
)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of an open file. Writes nothing.

    Raises:
        GalleryError: not a gallery, or one made by a newer Vultus.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise GalleryError(f"gallery {path}: this SQLite database is not a Vultus gallery")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise GalleryError(
            f"gallery {path}: its schema version is {version}, made by a newer Vultus; this one reads up to "
            f"{VERSION}. Nothing was changed: upgrade Vultus"
        )
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to the present version, in one transaction; nothing happens to a file that has it."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return
    with transaction(connection):
        # Asked again: now nobody else writes.
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
