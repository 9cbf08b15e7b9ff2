"""Reading a gallery past its damage: what is intact is given out, what is not is listed.

A page that SQLite cannot read ends an ordinary query. Here rows are asked for in ranges of their ids, and a
range that fails is halved until the rows that cannot be read stand alone.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from vultus.gallery.damage import (
    CHANGED,
    Damage,
    damaged_crop,
    damaged_entry,
    damaged_person,
    damaged_setting,
    damaged_template,
)
from vultus.gallery.encoding import Face
from vultus.gallery.journal import AUDIT_COLUMNS, AuditEntry
from vultus.gallery.other_vectors import OtherVector
from vultus.gallery.rows import PERSON_COLUMNS, TEMPLATE_COLUMNS, PersonRow, TemplateRow, is_crop_of
from vultus.gallery.settings import SETTING_COLUMNS, Setting

RANGE = 256  # rows asked for at once


def intact_people(connection: sqlite3.Connection, damaged: list[Damage]) -> dict[str, PersonRow]:
    """By id everyone whose row is intact; the others are appended to `damaged`."""
    people: dict[str, PersonRow] = {}
    for record in _surviving(connection, "people", "seq", PERSON_COLUMNS, damaged):
        person = PersonRow(*record)
        if person.is_intact:
            people[person.id] = person
        else:
            damaged.append(damaged_person(person))
    return people


def intact_faces(
    connection: sqlite3.Connection, people: Mapping[str, PersonRow], damaged: list[Damage]
) -> Iterator[Face]:
    """Every intact template of these people, oldest first; the others are appended to `damaged`.

    An intact template whose crop is not comes without the crop.
    """
    counts: Counter[str] = Counter()
    for *record, crop in _surviving(connection, "templates", "id", f"{TEMPLATE_COLUMNS}, crop", damaged):
        row = TemplateRow(*record)
        counts[str(row.identity_id)] += 1
        person = people.get(row.identity_id)
        if not row.is_intact:
            damaged.append(damaged_template(row, "" if person is None else person.name))
        elif person is None:
            damaged.append(damaged_template(row, reason="the record of the person is missing or damaged"))
        elif is_crop_of(row, crop):
            yield row, crop
        else:
            damaged.append(damaged_crop(row, person.name))
            yield row, None
    for person in people.values():
        if counts[person.id] != person.template_count:
            reason = f"{person.template_count} templates were written, {counts[person.id]} can be found"
            damaged.append(damaged_person(person, reason))


def intact_audit(connection: sqlite3.Connection, damaged: list[Damage]) -> Iterator[AuditEntry]:
    """Every intact entry of the audit log, oldest first; the others are appended to `damaged`."""
    for record in _surviving(connection, "audit", "seq", AUDIT_COLUMNS, damaged):
        entry = AuditEntry(*record)
        if entry.is_intact:
            yield entry
        else:
            damaged.append(damaged_entry(entry))


def intact_settings(connection: sqlite3.Connection, damaged: list[Damage]) -> Iterator[Setting]:
    """Every intact setting, oldest first; the others are appended to `damaged`."""
    for record in _surviving(connection, "settings", "seq", SETTING_COLUMNS, damaged):
        setting = Setting(*record)
        if setting.is_intact:
            yield setting
        else:
            damaged.append(damaged_setting(str(setting.name)))


def intact_others(connection: sqlite3.Connection, damaged: list[Damage]) -> Iterator[OtherVector]:
    """Every intact vector of another contract; the others are appended to `damaged`."""
    query = "SELECT template_id, contract, dimension, vector, checksum FROM other_vectors"
    try:
        records = connection.execute(query).fetchall()
    except sqlite3.DatabaseError as error:
        damaged.append(Damage("the vectors of another contract", "", "", f"they cannot be read: {error}"))
        return
    for record in records:
        other = OtherVector(*record)
        if other.is_intact:
            yield other
        else:
            what = f"the vector of template {other.template_id} under {other.contract}"
            damaged.append(Damage(what, "", "", CHANGED))


def _surviving(
    connection: sqlite3.Connection, table: str, key: str, columns: str, damaged: list[Damage]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table that SQLite can still read, in order of their key."""
    query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"  # noqa: S608
    for start in range(1, _highest(connection, table, key) + 1, RANGE):
        yield from _readable(connection, query, range(start, start + RANGE), table, damaged)


def _readable(
    connection: sqlite3.Connection, query: str, keys: range, table: str, damaged: list[Damage]
) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query, (keys[0], keys[-1])).fetchall()
    except sqlite3.DatabaseError as error:
        if len(keys) == 1:
            damaged.append(Damage(f"row {keys[0]} of {table}", "", "", f"it cannot be read: {error}"))
            return []
        half = len(keys) // 2
        first = _readable(connection, query, keys[:half], table, damaged)
        return first + _readable(connection, query, keys[half:], table, damaged)


def _highest(connection: sqlite3.Connection, table: str, key: str) -> int:
    """The highest key in a table, or where its last page is damaged the highest that was ever given out."""
    try:
        row = connection.execute(f"SELECT max({key}) FROM {table}").fetchone()  # noqa: S608
    except sqlite3.DatabaseError:
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return row[0] if row and row[0] else 0
