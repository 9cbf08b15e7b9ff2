"""Doors: who may pass where, when, and on how much evidence. Read from a TOML file of the server's owner.

```toml
timezone = "Europe/Berlin"              # in which hours and days are meant; "UTC" if it is left out

[doors.lab]
people = ["Ada Lovelace"]               # names or ids, or
groups = { team = ["blue", "red"] }     # whoever has one of these values in their metadata
hours = ["mon-fri 07:00-19:30", "sat 08:00-12:00"]   # always, if it is left out
min_similarity = 0.5                    # stricter than the gallery's threshold
margin = 0.05                           # how close to the threshold is too close to call
min_face_px = 60
faces = "only"                          # or "largest": which face is meant where there are several

[doors.front]
everybody = true                        # all who are enrolled
```
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from vultus.choices import FaceChoice
from vultus.errors import InputError
from vultus.types import Identity

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? +(\d\d:\d\d)-(\d\d:\d\d)")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Hours:
    """Some days of the week, from a time of day to another; where that is earlier, past midnight.

    Attributes:
        days: 0 (Monday) to 6.
        begin: the first moment.
        end: the first moment that is too late.
    """

    days: frozenset[int]
    begin: time
    end: time

    def include(self, at: datetime) -> bool:
        """Whether this local time lies within. Past midnight the day is the one on which it began."""
        clock, day = at.time(), at.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= clock < self.end
        return (day in self.days and clock >= self.begin) or ((day - 1) % 7 in self.days and clock < self.end)


@dataclass(frozen=True, slots=True)
class Door:
    """Who may pass, when, and on how much evidence.

    Attributes:
        name: as requests call it.
        people: names or ids of those who may.
        groups: whoever has one of these values under the key in their metadata may, too.
        everybody: all who are enrolled may.
        hours: when; empty for always.
        min_similarity: stricter than the gallery's threshold, or None.
        margin: so close to the threshold, or to another person, it is too close to call.
        min_face_px: smaller faces are not judged.
        faces: which face is meant where there are several.
    """

    name: str
    people: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    everybody: bool = False
    hours: tuple[Hours, ...] = ()
    min_similarity: float | None = None
    margin: float = 0.05
    min_face_px: float = 40.0
    faces: FaceChoice = FaceChoice.ONLY

    def admits(self, person: Identity) -> bool:
        """Whether this person is one of those who may pass."""
        if self.everybody or {person.id, person.name} & self.people:
            return True
        return any(_values(person.metadata.get(key)) & allowed for key, allowed in self.groups.items())

    def is_open(self, at: datetime) -> bool:
        """Whether it may be passed at this local time."""
        return not self.hours or any(hours.include(at) for hours in self.hours)


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """All doors of a service.

    Attributes:
        doors: by name.
        timezone: in which hours, and the days of attendance, are meant.
    """

    doors: Mapping[str, Door]
    timezone: ZoneInfo


def read_doors(path: Path | None) -> DoorPlan:
    """The doors in a file; without one, a door "default" that lets everybody pass who is enrolled.

    Raises:
        InputError: the file is missing, no TOML, or says what cannot be understood: where, and what.
    """
    if path is None:
        return DoorPlan({"default": Door("default", everybody=True)}, ZoneInfo("UTC"))
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the doors in {path} cannot be read: {error}") from error
    doors = told.get("doors", {})
    unknown = set(told) - {"timezone", "doors"}
    if unknown or not isinstance(doors, dict) or not doors:
        raise InputError(f"{path}: expected 'timezone' and one [doors.NAME] or more, got {sorted(told)}")
    try:
        zone = ZoneInfo(str(told.get("timezone", "UTC")))
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{path}: there is no timezone {told['timezone']!r}") from error
    return DoorPlan({name: _door(name, value, path) for name, value in doors.items()}, zone)


def _door(name: str, told: Any, path: Path) -> Door:
    where = f"{path}, door {name!r}"
    if not isinstance(told, dict) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: a door is a table with a name of lower-case letters, digits, '-', '_', '.'"
        )
    unknown = set(told) - (set(Door.__annotations__) - {"name"})
    if unknown:
        raise InputError(f"{where}: {', '.join(sorted(unknown))} is nothing that a door has")
    if not (told.get("everybody") or told.get("people") or told.get("groups")):
        raise InputError(f"{where}: nobody may pass; say people, groups or everybody = true")
    try:
        return Door(
            name,
            people=frozenset(_texts(told.get("people", []))),
            groups={str(key): frozenset(_texts(values)) for key, values in told.get("groups", {}).items()},
            everybody=told.get("everybody", False) is True,
            hours=tuple(_hours(text) for text in _texts(told.get("hours", []))),
            min_similarity=_number(told.get("min_similarity"), -1, 1),
            margin=_number(told.get("margin", 0.05), 0, 1) or 0.0,
            min_face_px=_number(told.get("min_face_px", 40.0), 0, 10_000) or 0.0,
            faces=FaceChoice(told.get("faces", "only")),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: {error}") from error


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"expected a list of texts, got {value!r:.80}")
    return value


def _number(value: Any, low: float, high: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputError(f"expected a number from {low} to {high}, got {value!r:.80}")
    return float(value)


def _hours(text: str) -> Hours:
    told = _HOURS.fullmatch(text.strip().lower())
    if told is None or {told[1], told[2] or told[1]} - set(DAYS):
        raise InputError(f"hours read like 'mon-fri 07:00-19:30' or 'sat 08:00-12:00', got {text!r}")
    first, last = DAYS.index(told[1]), DAYS.index(told[2] or told[1])
    count = (last - first) % 7 + 1
    days = frozenset((first + i) % 7 for i in range(count))
    return Hours(days, time.fromisoformat(told[3]), time.fromisoformat(told[4]))


def _values(value: Any) -> frozenset[str]:
    """A value in somebody's metadata, or several in a list, as texts."""
    several = value if isinstance(value, list | tuple) else [value]
    return frozenset(str(one) for one in several if isinstance(one, str | int))
