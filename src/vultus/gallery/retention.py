"""How long people stay: a period for the whole gallery, and for one person a date of their own.

A person is due when their newest template is older than the period, or when the day in their metadata's
`keep_until` (ISO 8601, UTC) has come, which goes before the period in both directions.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from vultus.errors import InputError
from vultus.gallery.damage import damaged_person, gallery_error
from vultus.gallery.erasure import Erasure, erase
from vultus.gallery.journal import note_gallery
from vultus.gallery.rows import PersonRow, read_people
from vultus.gallery.settings import delete_setting, read_setting, write_setting
from vultus.gallery.sqlite import SqliteGallery
from vultus.types import Identity

SETTING: Final = "retention_days"
KEEP_UNTIL: Final = "keep_until"


def retention_days(gallery: SqliteGallery) -> int | None:
    """How many days a person stays after their newest template; None for ever."""
    with gallery.database.reading() as connection:
        stored = read_setting(connection, SETTING, path=gallery.path)
    return None if stored is None else int(stored)


def set_retention(gallery: SqliteGallery, days: int | None) -> None:
    """Set how many days a person stays after their newest template; None for ever. Nobody is erased yet.

    Raises:
        InputError: fewer than one day.
    """
    if days is not None and days < 1:
        raise InputError(f"people are kept for at least one day, got {days}")
    with gallery.database.writing() as connection:
        if days is None:
            delete_setting(connection, SETTING)
        else:
            write_setting(connection, SETTING, str(days))
        detail = "for ever" if days is None else f"{days} days"
        note_gallery(connection, "set_retention", actor=gallery.actor, detail=detail)


def people_due(gallery: SqliteGallery, *, now: datetime | None = None) -> list[Identity]:
    """Everyone whose time has come, by name.

    Raises:
        InputError: somebody's `keep_until` is no date.
    """
    moment, days = now or datetime.now(UTC), retention_days(gallery)
    with gallery.database.reading() as connection:
        query = "SELECT identity_id, max(created) FROM templates GROUP BY identity_id"
        newest = dict(connection.execute(query).fetchall())
        people = list(read_people(connection, "1 ORDER BY name_key"))
    for person in people:
        if not person.is_intact:
            raise gallery_error(gallery.path, damaged_person(person))
    due = [(person, _due(person, newest.get(person.id, person.created), days)) for person in people]
    return [person.identity() for person, day in due if day is not None and day <= moment]


def erase_due(
    gallery: SqliteGallery, *, now: datetime | None = None, also_search: Sequence[Path] = ()
) -> list[Erasure]:
    """Erase everyone whose time has come, each with its proof."""
    return [erase(gallery, person.id, also_search=also_search) for person in people_due(gallery, now=now)]


def _due(person: PersonRow, newest: str, days: int | None) -> datetime | None:
    """When somebody is to be erased; None never."""
    own = person.identity().metadata.get(KEEP_UNTIL)
    if own is None:
        return None if days is None else datetime.fromisoformat(newest) + timedelta(days=days)
    try:
        day = datetime.fromisoformat(own)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"'{person.name}' has no date in {KEEP_UNTIL}: {own!r}; ISO 8601 is expected"
        ) from error
    return day if day.tzinfo else day.replace(tzinfo=UTC)
