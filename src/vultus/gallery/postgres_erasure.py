"""Erasing a person from a gallery in PostgreSQL, and searching the tables for what is left.

As in a file (`erasure.py`), erasing goes further than removing: in one transaction the person, their
templates and crops are deleted, and the audit log keeps what was done and when, but neither their id nor
their name. Then the tables and their indexes are written anew (VACUUM FULL), so that no dead row is left on
any page, and a checkpoint brings that to the disk where the user may ask for one.

PostgreSQL writes a dead row anew too while any transaction of the database is older than the deletion, be it
a backup or its own ANALYZE, and no query shows it. So we wait for those to end, and the proof says if one
did not.

The proof is a search of every table for the id, the vectors and the crops. The write-ahead log, replicas and
backups belong to the server: they forget by its own rules.
"""

import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import psycopg
from pgvector import Vector
from psycopg import Connection

from vultus.gallery.erasure import Erasure
from vultus.gallery.postgres_rows import PostgresRows
from vultus.gallery.postgres_server import PostgresServer
from vultus.gallery.rows import VECTOR
from vultus.gallery.served_check import with_id

TABLES = ("people", "templates", "settings", "audit")
PATIENCE_S = 30.0  # with transactions that may still see what was deleted
_OLDER = """
SELECT pid, coalesce(nullif(application_name, ''), backend_type, 'another client') FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND (datid IS NULL OR datid = 0
    OR datid = (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND greatest(age(backend_xid), age(backend_xmin)) > age(%s::xid)
"""


def erase(server: PostgresServer, identity_id: str, *, actor: str) -> Erasure:
    """Erase a person, and search for whatever may be left.

    Raises:
        GalleryError: no such person, or their record is damaged.
    """
    with server.writing() as rows:
        person = with_id(rows, identity_id, where=server.where)
        faces = list(rows.faces([person.id]))
        rows.delete_person(person.id)
        _anonymise(rows, person.id)
        rows.note("erase", actor=actor, detail=f"1 person, {len(faces)} templates")
    vectors = [Vector(np.frombuffer(row.vector, VECTOR)) for row, _ in faces]
    crops = [crop for _, crop in faces if crop is not None]
    with server.maintenance() as connection:
        witnesses = _outwait(connection)
        for table in TABLES:
            connection.execute(f"VACUUM (FULL) vultus.{table}")
        with suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("CHECKPOINT")
        searched = tuple((f"vultus.{table}", _size(connection, table)) for table in TABLES)
        found = (*_found(connection, person.id, vectors, crops), *witnesses)
    pieces = 1 + len(vectors) + len(crops)
    return Erasure(person.id, len(faces), pieces, searched, found, is_log_empty=False)


def _anonymise(rows: PostgresRows, identity_id: str) -> None:
    """What was done stays in the audit log, to whom does not."""
    for entry in list(rows.audit()):
        if entry.identity_id == identity_id:
            rows.replace_entry(replace(entry, identity_id="", name="", detail="erased"))
    rows.delete_settings(f"%{identity_id}%")


def _outwait(connection: Connection) -> list[str]:
    """Wait until no transaction is older than now; in words, those that still are."""
    now = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    deadline = time.monotonic() + PATIENCE_S
    while older := connection.execute(_OLDER, now).fetchall():
        if time.monotonic() >= deadline:
            return [
                f"dead rows on the pages of the tables, kept for a transaction that began before ({name}, "
                f"process {pid}); once it has ended, VACUUM FULL removes them"
                for pid, name in older
            ]
        time.sleep(0.05)
    return []


def _size(connection: Connection, table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", (f"vultus.{table}",)).fetchone()
    return int(row[0]) if row else 0


def _found(connection: Connection, identity_id: str, vectors: list[Vector], crops: list[bytes]) -> list[str]:
    """Where something still stands, in words."""
    questions: list[tuple[str, str, object]] = [
        (f"the id in vultus.{table}", f"{table} AS t WHERE t::text LIKE %s", f"%{identity_id}%")
        for table in TABLES
    ]
    questions.append(("a vector in vultus.templates", "templates WHERE vector = ANY(%s)", vectors))
    questions.append(("a crop in vultus.templates", "templates WHERE crop = ANY(%s)", crops))
    return [
        what
        for what, where, value in questions
        if value and connection.execute(f"SELECT FROM vultus.{where} LIMIT 1", (value,)).fetchone()
    ]
