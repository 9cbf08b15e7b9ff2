"""What belongs to the gallery rather than to a person, as named texts, each sealed by a checksum."""

import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Self

from vultus.errors import InputError
from vultus.gallery.damage import damaged_setting, gallery_error
from vultus.gallery.journal import now
from vultus.gallery.rows import digest
from vultus.match import calibration_from_json, calibration_to_json
from vultus.types import Calibration

SETTING_COLUMNS = "name, value, changed, checksum"


@dataclass(frozen=True, slots=True)
class Setting:
    """One named text; the fields are the columns, in order."""

    name: str
    value: str
    changed: str
    checksum: bytes = b""

    @property
    def is_intact(self) -> bool:
        """Whether no field changed since it was written."""
        return self.checksum == digest("setting", *astuple(self)[:-1])

    def sealed(self) -> Self:
        """The same with the checksum it should have."""
        return replace(self, checksum=digest("setting", *astuple(self)[:-1]))


def read_setting(connection: sqlite3.Connection, name: str, *, path: Path) -> str | None:
    """The text of this name; None where there is none.

    Raises:
        GalleryError: it is damaged.
    """
    return dict(read_settings(connection, name, path=path)).get(name)


def read_settings(connection: sqlite3.Connection, pattern: str, *, path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of everything whose name fits a pattern of GLOB, oldest first.

    Raises:
        GalleryError: one is damaged.
    """
    query = f"SELECT {SETTING_COLUMNS} FROM settings WHERE name GLOB ? ORDER BY seq"  # noqa: S608
    for record in connection.execute(query, (pattern,)).fetchall():
        setting = Setting(*record)
        if not setting.is_intact:
            raise gallery_error(path, damaged_setting(setting.name))
        yield setting.name, setting.value


def write_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Store a text in place of an earlier one of this name."""
    save_setting(connection, Setting(name, value, now()))


def save_setting(connection: sqlite3.Connection, setting: Setting) -> None:
    """Write a setting, with the checksum that belongs to it."""
    connection.execute(
        "INSERT INTO settings (name, value, changed, checksum) VALUES (?, ?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET value = excluded.value, changed = excluded.changed, checksum = excluded.checksum",
        astuple(setting.sealed()),
    )


def delete_setting(connection: sqlite3.Connection, name: str) -> None:
    """Forget a text; one that is not there is no mistake."""
    connection.execute("DELETE FROM settings WHERE name = ?", (name,))


def read_calibration(connection: sqlite3.Connection, contract: str, *, path: Path) -> Calibration | None:
    """The calibration stored for a contract; None where there is none.

    Raises:
        GalleryError: it is damaged.
    """
    text = read_setting(connection, calibration_name(contract), path=path) if contract else None
    return None if text is None else calibration_from_json(text)


def write_calibration(connection: sqlite3.Connection, calibration: Calibration) -> None:
    """Store a calibration in place of an earlier one of its contract.

    Raises:
        InputError: it names no contract.
    """
    save_setting(connection, calibration_setting(calibration))


def calibration_setting(calibration: Calibration) -> Setting:
    """What is stored of a calibration.

    Raises:
        InputError: it names no contract.
    """
    if not calibration.contract:
        raise InputError("a calibration that is stored names the contract of the embeddings it was made with")
    return Setting(calibration_name(calibration.contract), calibration_to_json(calibration), now())


def calibration_name(contract: str) -> str:
    """The setting that holds the calibration of a contract."""
    return f"calibration/{contract}"
