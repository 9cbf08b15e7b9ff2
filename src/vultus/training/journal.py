"""What a run tells: rows in log.csv and validation.csv, TensorBoard's events, curves.png, the terminal."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from vultus.training.curves import draw_curves
from vultus.training.progress import Display
from vultus.training.run import Run, append_row, forget_after
from vultus.training.settings import TrainSettings

REDRAW_SECONDS = 60.0  # a picture takes up to a second: at most one a minute, and one at the end


class Journal:
    """A context in which a run is written down, from where it stands.

    What was written after that, by a run that was killed, is forgotten: it is going to be done again.

    Args:
        run: whose folder it is.
        settings: epochs, batch size, how often a step becomes a row.
        epoch: those that are done, validation and all.
        step: those that are done.
        is_kept: False on all processes but the first: nothing is written, nothing shown.
    """

    def __init__(self, run: Run, settings: TrainSettings, *, epoch: int, step: int, is_kept: bool) -> None:
        self._run, self._settings = run, settings
        self._epoch, self._step = epoch, step
        self._is_kept = is_kept
        self._display = Display(epochs=settings.epochs, batch_size=settings.batch_size, is_shown=is_kept)
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._drawn_at = time.monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._display)
            if self._is_kept:
                forget_after(self._run.log, self._step, column="step")
                forget_after(self._run.validations, self._epoch, column="epoch")
                self._events = stack.enter_context(
                    SummaryWriter(str(self._run.folder), purge_step=self._step + 1)
                )
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def say(self, text: str) -> None:
        """A line on the terminal."""
        self._display.say(text)

    def start_epoch(self, epoch: int, *, batches: int, done: int) -> None:
        """An epoch, from 0, with so many batches, of which some may be done."""
        self._sums, self._steps = {}, 0
        self._display.start_epoch(epoch, batches=batches, done=done)

    def stepped(self, losses: Mapping[str, float], *, epoch: int, step: int, batches: int, lr: float) -> None:
        """One step of the optimiser, from 1, on so many batches; every `log_every` steps a row."""
        self._display.advance(batches)
        self._steps += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in losses.items()}
        if step % self._settings.log_every or not self._is_kept:
            return
        speed = self._display.samples_per_second
        told = {"epoch": epoch, "step": step, "lr": f"{lr:.4g}", "samples_per_second": f"{speed:.1f}"}
        append_row(self._run.log, told | {name: f"{value:.6g}" for name, value in losses.items()})
        for name, value in {**losses, "lr": lr, "samples_per_second": speed}.items():
            self._events.add_scalar(f"training/{name}", value, step)

    def end_epoch(self, epoch: int) -> None:
        """The means of the epoch's losses, on the terminal."""
        if self._steps:
            means = {name: value / self._steps for name, value in self._sums.items()}
            self._display.end_epoch(epoch, means)

    def judged(self, figures: Mapping[str, float], *, epoch: int, step: int, is_best: bool) -> None:
        """The figures of a validation, when so many epochs and steps are done."""
        if not self._is_kept:
            return
        append_row(
            self._run.validations,
            {"epoch": epoch, "step": step} | {name: round(value, 5) for name, value in figures.items()},
        )
        for name, value in figures.items():
            self._events.add_scalar(f"validation/{name}", value, step)
        if time.monotonic() - self._drawn_at > REDRAW_SECONDS:
            self._draw()
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self.say(f"after epoch {epoch}: {told}" + ", the best so far" * is_best)

    def finish(self) -> None:
        """The run is over: its curves are complete."""
        if self._is_kept:
            self._draw()

    def _draw(self) -> None:
        draw_curves(self._run)
        self._drawn_at = time.monotonic()
