"""What a training run shows on the terminal: a bar for the epoch, a line for each epoch and validation."""

import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """A bar on a terminal, and lines, on standard error.

    Args:
        epochs: of the whole run.
        batch_size: samples of a batch.
        is_shown: False is silent.
    """

    def __init__(self, *, epochs: int, batch_size: int, is_shown: bool) -> None:
        self._epochs = epochs
        self._batch_size = batch_size
        self._console = Console(stderr=True, quiet=not is_shown, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", visible=False)
        self._began, self._batches = time.monotonic(), 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """A line."""
        self._console.print(text, highlight=False, markup=False)

    def start_epoch(self, epoch: int, *, batches: int, done: int) -> None:
        """A new bar for an epoch, from 0, of which `done` batches were done before the run was stopped."""
        self._began, self._batches = time.monotonic(), 0
        told = f"epoch {epoch + 1}/{self._epochs}"
        self._bar.reset(self._task, total=batches, completed=done, description=told, visible=True)

    def advance(self, batches: int) -> None:
        """So many batches are done."""
        self._batches += batches
        self._bar.advance(self._task, batches)

    @property
    def samples_per_second(self) -> float:
        """Of this epoch, since it was started or resumed; of all processes together."""
        return self._batches * self._batch_size / max(1e-9, time.monotonic() - self._began)

    def end_epoch(self, epoch: int, losses: Mapping[str, float]) -> None:
        """The means of the losses over an epoch, which counts from 0."""
        means = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        time_taken = timedelta(seconds=round(time.monotonic() - self._began))
        speed = f"{self.samples_per_second:.1f} samples/s"
        self.say(f"epoch {epoch + 1}/{self._epochs}: {means} ({time_taken}, {speed})")
