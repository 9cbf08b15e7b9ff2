"""How long the present request may still take. Set once where it comes in, asked wherever work begins.

A deadline is a point of `time.monotonic`, in a context variable, which follows the request into the thread
that works on it. It is asked before each stage and never interrupts one: a request that is given up has
changed nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

from vultus.errors import DeadlineError

_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """Within: the work that is begun here has to be done in so many seconds."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def current_deadline() -> float:
    """The point of `time.monotonic` that counts here; infinity where none was set."""
    return _deadline.get()


def check_deadline(deadline: float | None = None) -> None:
    """Give up what comes too late.

    Raises:
        DeadlineError: the deadline (by default that of the present request) has passed.
    """
    if time.monotonic() >= (current_deadline() if deadline is None else deadline):
        raise DeadlineError("the service is too busy to answer in time; nothing was changed, try again later")
