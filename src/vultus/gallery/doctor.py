"""Finding damage: in every row, in every crop, and in the file itself.

SQLite's own `integrity_check` verifies its structure (pages, indexes), not the values; the checksums verify
the values, not that an index leads to them. It takes both.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vultus.gallery.damage import Damage
from vultus.gallery.database import connect, naming
from vultus.gallery.survey import (
    intact_audit,
    intact_faces,
    intact_others,
    intact_people,
    intact_settings,
)


@dataclass(frozen=True, slots=True)
class Checkup:
    """What a check of a gallery found.

    Attributes:
        people: how many are intact.
        templates: how many are intact, with an intact person.
        damaged: everything that is not as it was written.
    """

    people: int
    templates: int
    damaged: tuple[Damage, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def check_file(path: Path) -> Checkup:
    """Read and verify everything in a gallery file. Writes nothing; others may go on using it.

    Raises:
        GalleryError: the file cannot be opened, or the tables not be found.
    """
    with naming(path), closing(connect(path, read_only=True)) as connection:
        connection.execute("BEGIN")  # one state of the file, whatever others write meanwhile
        damaged = _structure(connection)
        people = intact_people(connection, damaged)
        templates = sum(1 for _ in intact_faces(connection, people, damaged))
        for _ in chain(
            intact_settings(connection, damaged),
            intact_audit(connection, damaged),
            intact_others(connection, damaged),
        ):
            pass  # only the damaged ones are of interest
    return Checkup(len(people), templates, tuple(damaged))


def _structure(connection: sqlite3.Connection) -> list[Damage]:
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    return [Damage("the file", "", "", message) for message in found if message != "ok"]
