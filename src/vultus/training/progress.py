"""What a training run shows on the terminal: a bar for the epoch, a line for each epoch and validation."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """A bar and lines on standard error; on all processes but the first, nothing.

    Args:
        epochs: of the whole run.
        is_shown: False is silent.

    Attributes:
        batches_per_second: of this epoch, since it was started or resumed.
    """

    def __init__(self, epochs: int, *, is_shown: bool) -> None:
        self._epochs = epochs
        self._console = Console(stderr=True, quiet=not is_shown, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("")
        self._losses: Mapping[str, float] = {}
        self._done = 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def batches_per_second(self) -> float:
        """Of this epoch."""
        return self._done / max(1e-9, time.monotonic() - self._began)

    def start_epoch(self, epoch: int, *, batches: int, done: int) -> None:
        """A new bar; `done` batches of it were done by a run that was stopped."""
        self._done, self._began = 0, time.monotonic()
        self._bar.reset(
            self._task, total=batches, completed=done, description=f"epoch {epoch + 1}/{self._epochs}"
        )

    def end_epoch(self, epoch: int) -> None:
        """A line with the last losses of the epoch, which counts from 0."""
        losses = "".join(f"{name} {value:.4g}, " for name, value in self._losses.items())
        told = f"epoch {epoch + 1}/{self._epochs}: {losses}{self.batches_per_second:.2f} batches/s"
        self._console.print(told, highlight=False)

    def advance(self, batches: int) -> None:
        """So many batches are done."""
        self._done += batches
        self._bar.advance(self._task, batches)

    def tell(self, losses: Mapping[str, float]) -> None:
        """The losses of a logged step."""
        self._losses = losses

    def judged(self, epoch: int, figures: Mapping[str, float], *, is_best: bool) -> None:
        """The figures of a validation."""
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        mark = ", the best so far" if is_best else ""
        self._console.print(f"after epoch {epoch}: {told}{mark}", highlight=False)
