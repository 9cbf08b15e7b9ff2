"""Times of calls: many of them, after some that do not count, and what they were like."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

WARM_UP: Final = 2  # calls: buffers are allocated, caches filled, threads started
MIN_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """What a call took.

    Attributes:
        rounds: how many calls were timed.
        median_ms: half of them took no longer.
        p90_ms: nine of ten took no longer.
        p99_ms: likewise; of fewer than 100 calls that is the longest.
        least_ms: the shortest: the best estimate on a machine that has other things to do.
    """

    rounds: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    least_ms: float


def latency_of(times_s: Sequence[float]) -> Latency:
    """The percentiles of the times, in seconds, of one call or more; each is one that did occur."""
    times_ms = 1e3 * np.asarray(times_s, np.float64)
    p50, p90, p99 = np.percentile(times_ms, [50, 90, 99], method="higher")
    return Latency(len(times_ms), float(p50), float(p90), float(p99), float(times_ms.min()))


def times_of(call: Callable[[], object], *, rounds: int, max_seconds: float = np.inf) -> list[float]:
    """Seconds of each of `rounds` calls, after `WARM_UP` that do not count.

    Args:
        call: what is timed.
        rounds: how many calls.
        max_seconds: no further call is begun after so long, once there are `MIN_ROUNDS`.
    """
    for _ in range(WARM_UP):
        call()
    times_s: list[float] = []
    while len(times_s) < rounds and (len(times_s) < MIN_ROUNDS or sum(times_s) < max_seconds):
        start = time.perf_counter()
        call()
        times_s.append(time.perf_counter() - start)
    return times_s
