"""The log of decisions, and the attendance that follows from it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vultus.access.audit import AuditLog
from vultus.access.decision import Decision, Outcome, Reason
from vultus.access.log import DecisionLog
from vultus.access.store import Store
from vultus.types import Identity

ADA, BOB = Identity("a" * 32, "Ada"), Identity("b" * 32, "Bob")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    with closing(Store(tmp_path / "people.service.db")) as store:
        yield DecisionLog(store)


def note(
    log: DecisionLog, at: str, person: Identity | None, outcome: str = "allow", door: str = "front"
) -> None:
    decision = Decision(Outcome(outcome), (Reason.ADMITTED,), 0.5, person, 0.9)
    moment = datetime.fromisoformat(at).replace(tzinfo=BERLIN)
    log.add(decision, door=door, at=moment, key_id="k", request_id="r")


def test_a_day_has_who_was_seen_first_and_last(log: DecisionLog) -> None:
    note(log, "2026-03-02 08:01", ADA)
    note(log, "2026-03-02 12:00", None, "unsure")
    note(log, "2026-03-02 17:30", ADA, "deny", "lab")
    note(log, "2026-03-02 09:00", BOB)
    note(log, "2026-03-03 09:00", ADA)
    first, second = log.attendance(date(2026, 3, 2), date(2026, 3, 2), timezone=BERLIN)
    assert (first.name, first.times_seen, first.times_allowed) == ("Ada", 2, 1)
    assert (first.first_seen, first.last_seen) == (
        "2026-03-02T08:01:00.000+01:00",
        "2026-03-02T17:30:00.000+01:00",
    )
    assert first.doors == ("front", "lab")
    assert (second.name, second.first_seen) == ("Bob", second.last_seen)
    both = log.attendance(date(2026, 3, 2), date(2026, 3, 3), timezone=BERLIN, person_id=ADA.id)
    assert [one.day.day for one in both] == [2, 3]


def test_a_day_is_a_local_one(log: DecisionLog) -> None:
    note(log, "2026-03-02 00:30", ADA)  # in UTC this is still the day before
    assert len(log.attendance(date(2026, 3, 2), date(2026, 3, 2), timezone=BERLIN)) == 1
    assert log.attendance(date(2026, 3, 1), date(2026, 3, 1), timezone=BERLIN) == []
    (utc,) = log.attendance(date(2026, 3, 1), date(2026, 3, 1), timezone=ZoneInfo("UTC"))
    assert utc.day == date(2026, 3, 1)


def test_somebody_who_is_deleted_is_forgotten_and_the_decision_stays(log: DecisionLog) -> None:
    note(log, "2026-03-02 08:00", ADA)
    note(log, "2026-03-02 09:00", BOB)
    assert log.forget(ADA.id) == 1
    begin, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
    entries = log.between(begin, end)
    assert [(one.person_id, one.name) for one in entries] == [("", ""), (BOB.id, "Bob")]


def test_the_audit_log_keeps_its_order(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "people.service.db")) as store:
        log = AuditLog(store)
        for i in range(5):
            log.note(request_id=f"r{i}", key_id="k", action="POST /v1/people", target="x" * 500, status=201)
        events = log.events(limit=3)
    assert [one.request_id for one in events] == ["r2", "r3", "r4"]
    assert len(events[0].target) == 200
