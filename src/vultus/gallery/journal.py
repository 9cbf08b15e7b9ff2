"""Two logs, written in the transaction of what they tell of.

The audit log says who did what and when; it is kept for good. The change log says whose rows changed, for
the followers in other processes; only its end is kept.
"""

import csv
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from vultus.gallery.rows import PersonRow, digest
from vultus.image import replace_file

KEPT_CHANGES = 100_000  # a follower that is further behind reads everything again


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log; the fields are the columns, in order.

    Attributes:
        seq: counts up.
        at: when, ISO 8601, UTC.
        actor: who, as given when the gallery was opened.
        action: enrol, rename, remove, remove_template, set_metadata, import, set_calibration and so on.
        identity_id: of whom; empty for what concerns the whole gallery.
        name: their display name after the action (before it, for a removal).
        detail: more, in words.
        checksum: over all other fields.
    """

    seq: int
    at: str
    actor: str
    action: str
    identity_id: str
    name: str
    detail: str
    checksum: bytes = b""

    @property
    def is_intact(self) -> bool:
        """Whether no field changed since the entry was written."""
        return self.checksum == digest("audit", *astuple(self)[:-1])


AUDIT_COLUMNS = "seq, at, actor, action, identity_id, name, detail, checksum"


def now() -> str:
    """The time to the millisecond, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_audit(connection: sqlite3.Connection) -> Iterator[AuditEntry]:
    """The audit log, oldest first, damaged entries included."""
    for record in connection.execute(f"SELECT {AUDIT_COLUMNS} FROM audit ORDER BY seq"):  # noqa: S608
        yield AuditEntry(*record)


def save_entry(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    """Write an entry, with the checksum that belongs to it."""
    sealed = replace(entry, checksum=digest("audit", *astuple(entry)[:-1]))
    connection.execute(
        "INSERT INTO audit (seq, at, actor, action, identity_id, name, detail, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(sealed),
    )


def note_gallery(
    connection: sqlite3.Connection,
    action: str,
    *,
    actor: str = "",
    detail: str = "",
    of: tuple[str, str] = ("", ""),
) -> None:
    """Write the audit log: this was done to the gallery, or to the person `of` this id and name."""
    seq = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM audit").fetchone()[0]
    save_entry(connection, AuditEntry(seq, now(), actor, action, *of, detail))


def note(
    connection: sqlite3.Connection, person: PersonRow, action: str, *, actor: str = "", detail: str = ""
) -> None:
    """Write both logs: this person's rows have been changed by this action."""
    note_gallery(connection, action, actor=actor, detail=detail, of=(person.id, person.name))
    change = connection.execute("INSERT INTO changes (identity_id) VALUES (?)", (person.id,)).lastrowid
    connection.execute("DELETE FROM changes WHERE seq <= ?", ((change or 0) - KEPT_CHANGES,))


def write_audit(entries: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write entries of the audit log as CSV, one a line, for those who read it elsewhere.

    Raises:
        InputError: the place cannot be written.
    """
    with replace_file(path) as stream, TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, AUDIT_COLUMNS.split(", ")[:-1], lineterminator="\n")
        writer.writeheader()
        writer.writerows(entries)


def forget_changes(connection: sqlite3.Connection) -> None:
    """Empty the change log, and leave a gap in its count: followers elsewhere read everything anew."""
    last: int = connection.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0]
    connection.execute("DELETE FROM changes")
    connection.execute("INSERT INTO changes (seq, identity_id) VALUES (?, '')", (last + 2,))
