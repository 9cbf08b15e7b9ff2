"""How often one key may ask: a bucket of tokens that fills steadily and holds a burst."""

import threading
import time
from collections.abc import Callable
from typing import Final

from vultus.errors import BusyError

MAX_BUCKETS: Final = 10_000


class RateLimit:
    """One bucket per key.

    Args:
        per_s: tokens that come in per second; None lets everything pass.
        burst: tokens that a bucket holds.
        clock: seconds, from anywhere.
    """

    def __init__(
        self, per_s: float | None, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # key: tokens, and when they were counted

    def take(self, key_id: str) -> None:
        """Take a token.

        Raises:
            BusyError: there is none, with the time until there is.
        """
        if self._per_s is None:
            return
        with self._lock:
            now = self._clock()
            tokens, counted = self._buckets.get(key_id, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - counted) * self._per_s)
            if tokens < 1.0:
                wait_s = (1.0 - tokens) / self._per_s
                raise BusyError(
                    f"this key may ask {self._per_s:g} times a second; wait", retry_after_s=wait_s
                )
            if len(self._buckets) >= MAX_BUCKETS and key_id not in self._buckets:
                self._buckets.clear()  # full ones would be made again alike
            self._buckets[key_id] = (tokens - 1.0, now)
