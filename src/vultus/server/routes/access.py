"""`/v1/access/decide` and `/v1/attendance`: may somebody pass, and who was seen."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.requests import Request

from vultus.access.decision import judge
from vultus.access.keys import Scope
from vultus.access.log import LoggedDecision
from vultus.errors import InputError, NotEnrolledError
from vultus.server.answers import AttendanceDayOut, AttendanceOut, DecisionOut
from vultus.server.body import read_as
from vultus.server.envelope import request_id_of
from vultus.server.guard import GuardedRoute, key_of, service_of
from vultus.server.images import decode_images
from vultus.server.requests import DecideIn
from vultus.server.service import Service

InService = Annotated[Service, Depends(service_of)]
MAX_DAYS = 366


def decide(
    request: Request, body: Annotated[DecideIn, Depends(read_as(DecideIn))], service: InService
) -> DecisionOut:
    """May the person in front of this door's camera pass? Every decision is logged."""
    door = service.doors.doors.get(body.door)
    if door is None:
        raise NotEnrolledError(f"there is no door {body.door!r}; the server's file of doors names them")
    (image,) = decode_images([body.image], service.settings)
    at = datetime.now(service.doors.timezone)
    decision = judge(image, door, recognizer=service.recognizer, at=at)
    logged = service.decisions.add(
        decision, door=door.name, at=at, key_id=key_of(request).id, request_id=request_id_of(request)
    )
    service.metrics.decisions.labels(door.name, logged.outcome).inc()
    answer = DecisionOut(**_fields(logged))
    if service.webhook is not None:
        told = {"event": "decision", "request_id": logged.request_id}
        service.webhook.send(told | answer.model_dump(mode="json"))
    return answer


def attendance(
    service: InService,
    first: Annotated[date | None, Query(alias="from", description="Today, if it is left out.")] = None,
    last: Annotated[date | None, Query(alias="to", description="`from`, if it is left out.")] = None,
    person_id: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
) -> AttendanceOut:
    """Who was recognised on which day, first and last, at any door."""
    zone = service.doors.timezone
    first = first or datetime.now(zone).date()
    last = last or first
    if not 0 <= (last - first).days < MAX_DAYS or not date(2000, 1, 1) <= first <= last < date(9000, 1, 1):
        raise InputError(
            f"expected 1 to {MAX_DAYS} days in order, since the year 2000; got {first} to {last}"
        )
    days = service.decisions.attendance(first, last, timezone=zone, person_id=person_id)
    return AttendanceOut(timezone=zone.key, attendance=[AttendanceDayOut(**asdict(one)) for one in days])


def _fields(logged: LoggedDecision) -> dict[str, Any]:
    return {
        "decision_id": logged.seq,
        "at": datetime.fromisoformat(logged.at).astimezone(UTC).isoformat(timespec="milliseconds"),
        "door": logged.door,
        "outcome": logged.outcome,
        "reasons": logged.reasons.split(),
        "person_id": logged.person_id or None,
        "name": logged.name or None,
        "similarity": logged.similarity,
        "min_similarity": logged.min_similarity,
    }


ROUTES = [
    GuardedRoute(
        "/v1/access/decide",
        decide,
        method="POST",
        needs=Scope.DECIDE,
        body=DecideIn,
        is_write=True,
        tags=["access"],
    ),
    GuardedRoute("/v1/attendance", attendance, method="GET", needs=Scope.READ, tags=["access"]),
]
