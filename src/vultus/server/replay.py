"""Idempotency keys: a write that is sent twice happens once, and is answered alike.

A client that did not hear an answer sends the request again with the same `Idempotency-Key`, and gets the
first answer. Kept for a day. A request that a crash ended in the middle left no answer; it is run again.
"""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from vultus.access.store import Store
from vultus.errors import RepeatedRequestError

KEPT_S: Final = 86_400.0
MAX_TOKEN: Final = 200
MAX_BODY: Final = 2**20  # answers to writes are small; a larger one is not kept


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given."""

    status: int
    content_type: str
    body: bytes


def digest_of(method: str, path: str, body: bytes) -> bytes:
    """By which a repeated request is recognised."""
    return sha256(f"{method} {path}\n".encode() + body).digest()


class Replays:
    """The answers to writes that carried an idempotency key.

    Args:
        store: where they are, for all processes of the service.
        running_s: so long a first request may still run.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, *, running_s: float, clock: Callable[[], float] = time.time) -> None:
        self._store, self._running_s, self._clock = store, running_s, clock

    def begin(self, key_id: str, token: str, request: bytes) -> StoredAnswer | None:
        """Note that a request begins; or the answer that was given to it before.

        Raises:
            RepeatedRequestError: the key was used for another request, or the first one still runs.
        """
        now = self._clock()
        with self._store.writing() as connection:
            connection.execute("DELETE FROM replays WHERE begun < ?", (now - KEPT_S,))
            row = connection.execute(
                "SELECT request, begun, status, content_type, body FROM replays "
                "WHERE key_id = ? AND token = ?",
                (key_id, token),
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO replays (key_id, token, request, begun) VALUES (?, ?, ?, ?)",
                    (key_id, token, request, now),
                )
                return None
            stored, begun, status, content_type, body = row
            if not hmac.compare_digest(stored, request):
                raise RepeatedRequestError("this Idempotency-Key was used for another request: use a new one")
            if status is not None:
                return StoredAnswer(status, content_type, body)
            if now - begun < self._running_s:
                raise RepeatedRequestError("the first request with this Idempotency-Key still runs: wait")
            connection.execute(
                "UPDATE replays SET begun = ? WHERE key_id = ? AND token = ?", (now, key_id, token)
            )
        return None

    def finish(self, key_id: str, token: str, answer: StoredAnswer) -> None:
        """Keep the answer; not one that says "try again" (429, 5xx), which must be possible."""
        is_final = answer.status < 500 and answer.status not in {408, 429} and len(answer.body) <= MAX_BODY
        with self._store.writing() as connection:
            if not is_final:
                connection.execute("DELETE FROM replays WHERE key_id = ? AND token = ?", (key_id, token))
                return
            connection.execute(
                "UPDATE replays SET status = ?, content_type = ?, body = ? WHERE key_id = ? AND token = ?",
                (answer.status, answer.content_type, answer.body, key_id, token),
            )
