"""The log of decisions, and what follows from it: who was seen on which day, first and last."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vultus.access.decision import Decision, Outcome
from vultus.access.store import Store


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One line of the log; the fields are the columns, in order.

    Attributes:
        seq: counts up.
        at: ISO 8601, UTC.
        door: its name.
        outcome: "allow", "deny" or "unsure".
        reasons: separated by blanks.
        person_id: empty where nobody was recognised.
        name: likewise; the name at that time.
        similarity: of the closest person, or None.
        min_similarity: what it took, or None.
        key_id: of the API key that asked.
        request_id: of the request.
    """

    seq: int
    at: str
    door: str
    outcome: str
    reasons: str
    person_id: str
    name: str
    similarity: float | None
    min_similarity: float | None
    key_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Attendance:
    """One person on one day.

    Attributes:
        day: local to the doors.
        person_id: who.
        name: as it was when they were last seen.
        first_seen: ISO 8601, local time with its offset.
        last_seen: likewise; equal to the first for who was seen once.
        times_seen: how many decisions recognised them.
        times_allowed: how many let them pass.
        doors: where, in order of the alphabet.
    """

    day: date
    person_id: str
    name: str
    first_seen: str
    last_seen: str
    times_seen: int
    times_allowed: int
    doors: tuple[str, ...]


_COLUMNS = "seq, at, door, outcome, reasons, person_id, name, similarity, min_similarity, key_id, request_id"


class DecisionLog:
    """Writes and reads the log.

    Args:
        store: where it is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, decision: Decision, *, door: str, at: datetime, key_id: str, request_id: str
    ) -> LoggedDecision:
        """Write a decision, on the disk before this returns."""
        person = decision.person
        values: tuple[Any, ...] = (
            at.astimezone(UTC).isoformat(timespec="milliseconds"), door, str(decision.outcome),
            " ".join(decision.reasons), person.id if person else "", person.name if person else "",
            decision.similarity, decision.min_similarity, key_id, request_id,
        )  # fmt: skip
        with self._store.writing() as connection:
            columns = _COLUMNS.removeprefix("seq, ")
            query = f"INSERT INTO decisions ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            seq = connection.execute(query, values).lastrowid or 0
        return LoggedDecision(seq, *values)

    def between(self, begin: datetime, end: datetime) -> list[LoggedDecision]:
        """The decisions from `begin` until before `end`, oldest first."""
        query = f"SELECT {_COLUMNS} FROM decisions WHERE at >= ? AND at < ? ORDER BY at, seq"  # noqa: S608
        limits = [moment.astimezone(UTC).isoformat(timespec="milliseconds") for moment in (begin, end)]
        with self._store.reading() as connection:
            rows = connection.execute(query, limits).fetchall()
        return [LoggedDecision(*row) for row in rows]

    def attendance(
        self, first: date, last: date, *, timezone: ZoneInfo, person_id: str | None = None
    ) -> list[Attendance]:
        """Who was recognised on which day, both days included, by day and then by name."""
        begin = datetime.combine(first, time(), timezone)
        end = datetime.combine(last + timedelta(days=1), time(), timezone)
        seen: dict[tuple[date, str], list[LoggedDecision]] = {}
        for one in self.between(begin, end):
            if one.person_id and person_id in {None, one.person_id}:
                day = datetime.fromisoformat(one.at).astimezone(timezone).date()
                seen.setdefault((day, one.person_id), []).append(one)
        days = [_attendance(day, person, entries, timezone) for (day, person), entries in seen.items()]
        return sorted(days, key=lambda one: (one.day, one.name, one.person_id))

    def forget(self, person_id: str) -> int:
        """Take somebody's id and name out of every entry; the number of those. The decisions stay."""
        with self._store.writing() as connection:
            return forget_decisions(connection, person_id)


def forget_decisions(connection: sqlite3.Connection, person_id: str) -> int:
    """The same within a transaction of the caller's."""
    query = "UPDATE decisions SET person_id = '', name = '' WHERE person_id = ?"
    return connection.execute(query, (person_id,)).rowcount


def _attendance(
    day: date, person_id: str, entries: Iterable[LoggedDecision], timezone: ZoneInfo
) -> Attendance:
    ordered = list(entries)
    moments = [datetime.fromisoformat(one.at).astimezone(timezone) for one in (ordered[0], ordered[-1])]
    first_seen, last_seen = (moment.isoformat(timespec="milliseconds") for moment in moments)
    allowed = sum(one.outcome == Outcome.ALLOW for one in ordered)
    doors = tuple(sorted({one.door for one in ordered}))
    return Attendance(day, person_id, ordered[-1].name, first_seen, last_seen, len(ordered), allowed, doors)
