"""Copying what is intact of a damaged gallery into a new one."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from vultus.errors import GalleryError
from vultus.gallery.damage import Damage
from vultus.gallery.database import Database, check_exists, naming, open_file, publish, unfinished
from vultus.gallery.journal import save_entry
from vultus.gallery.rows import PersonRow, add_template, save_person
from vultus.gallery.schema import version_of
from vultus.gallery.settings import save_setting
from vultus.gallery.survey import intact_audit, intact_faces, intact_people, intact_settings


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was copied, and what could not be.

    Attributes:
        people: how many were copied.
        templates: how many were copied.
        damaged: everything in the old file that is not as it was written.
    """

    people: int
    templates: int
    damaged: tuple[Damage, ...]


def salvage(source: str | PathLike[str], target: str | PathLike[str]) -> Salvaged:
    """Copy every intact person, template, crop and audit entry into a new file; the old one is only read.

    Ids and times stay as they were. A person who lost templates keeps the others; one who lost all of them
    stays in the list of people, so that you see whom to enrol again.

    Args:
        source: a gallery, damaged or not.
        target: the new file; it must not exist. It appears when it is complete.

    Raises:
        GalleryError: the target exists or cannot be made, or nothing can be read of the source.
    """
    old, new = Path(fspath(source)), Path(fspath(target))
    check_exists(old)
    if new.exists():
        raise GalleryError(f"gallery {new}: there is a file already; salvage makes a new one")
    try:
        with unfinished(new) as fresh:
            with closing(Database(fresh)) as copy:
                result = _copy(old, copy)
            publish(fresh, new)
    except OSError as error:
        raise GalleryError(f"gallery {new}: it cannot be made: {error}") from error
    return result


def _copy(source: Path, target: Database) -> Salvaged:
    damaged: list[Damage] = []
    with target.writing() as new, naming(source), closing(open_file(source, mode="ro")) as old:
        old.execute("BEGIN")
        version = version_of(old, source)
        people = intact_people(old, damaged)
        counts = dict.fromkeys(people, 0)
        _write_people(new, people, counts, path=target.path)
        for row, crop in intact_faces(old, people, damaged):
            counts[row.identity_id] += 1
            with naming(target.path):
                add_template(new, row, crop)
        _write_people(new, people, counts, path=target.path)
        for setting in intact_settings(old, damaged) if version > 2 else ():  # older files have none
            with naming(target.path):
                save_setting(new, setting)
        for entry in intact_audit(old, damaged):
            with naming(target.path):
                save_entry(new, entry)
    return Salvaged(len(people), sum(counts.values()), tuple(damaged))


def _write_people(
    connection: sqlite3.Connection, people: Mapping[str, PersonRow], counts: Mapping[str, int], *, path: Path
) -> None:
    with naming(path):
        for person in people.values():
            save_person(connection, replace(person, template_count=counts[person.id]))
