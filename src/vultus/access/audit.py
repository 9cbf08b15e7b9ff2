"""The service's audit log: every write and every decision, by whom, with which answer. Never an image.

The gallery has a log of its own, of what changed; this one says through which key, in which request, and
also what was refused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from vultus.access.store import Store

MAX_TARGET = 200


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """One request that wrote or decided something, or tried to.

    Attributes:
        at: when it was answered, ISO 8601, UTC.
        request_id: as it stands in the answer.
        key_id: of the key, or "" without authentication.
        action: method and route, such as "DELETE /v1/people/{person_id}".
        target: of whom or what: the parameters of the path.
        status: of the HTTP answer.
    """

    at: str
    request_id: str
    key_id: str
    action: str
    target: str
    status: int


class AuditLog:
    """Writes and reads the log.

    Args:
        store: where it is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, *, request_id: str, key_id: str, action: str, target: str, status: int) -> None:
        """Write one entry, on the disk before this returns."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._store.writing() as connection:
            connection.execute(
                "INSERT INTO audit (at, request_id, key_id, action, target, status) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (at, request_id, key_id, action, target[:MAX_TARGET], status),
            )

    def events(self, *, limit: int = 1000) -> list[ServiceEvent]:
        """The newest entries, oldest first."""
        with self._store.reading() as connection:
            rows = connection.execute(
                "SELECT at, request_id, key_id, action, target, status FROM audit ORDER BY seq DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [ServiceEvent(*row) for row in reversed(rows)]
