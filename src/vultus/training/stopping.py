"""Ctrl-C and SIGTERM, remembered until the training loop has written its checkpoint."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN_SECONDS = 3.0  # torchrun passes on a Ctrl-C that the terminal has sent already: that is no second wish


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Within: a Ctrl-C waits until the end. Processes that are started within never hear of one.

    They would otherwise die of it while they still import, which takes seconds. Windows has no such mask.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopRequest:
    """A context in which the first signal is only remembered; one that comes seconds later acts at once.

    Outside of the main thread, where Python hands out no signals, nothing is remembered.

    Attributes:
        is_made: whether somebody wants to stop.
        made_at: when that was said, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.is_made = False
        self.made_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _frame: object) -> None:
        if not self.is_made:
            self.is_made, self.made_at = True, time.monotonic()
        elif time.monotonic() - self.made_at > AGAIN_SECONDS:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
