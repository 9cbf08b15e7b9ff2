"""From what was typed to images: files, folders, globs, standard input; bad ones are reported and skipped."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from vultus.defaults import IMAGE_SUFFIXES
from vultus.errors import ImageError, VultusError

if TYPE_CHECKING:
    from vultus.pipeline.stream import Outcome

T = TypeVar("T")
stderr = Console(stderr=True, soft_wrap=True)


def find_images(sources: Iterable[str]) -> Iterator[str]:
    """The paths that are meant, in a stable order: folders recursively, globs, `-` for standard input.

    A path that does not exist is passed on, so that reading it gives the error that names it.
    """
    for source in sources:
        path = Path(source)
        if source == "-":
            yield from find_images(line.strip() for line in sys.stdin if line.strip())
        elif path.is_dir():
            yield from (
                str(file)
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
            )
        elif glob.has_magic(source) and not path.exists():
            matches = glob.glob(source, recursive=True)  # noqa: PTH207  Path.glob refuses absolute patterns
            yield from sorted(file for file in matches if Path(file).is_file())
        else:
            yield source


class Run:
    """One command's walk over many images: shows progress; reports, skips and remembers failures.

    Example:
        >>> run = Run(["photos/"], doing="Detecting")
        >>> rows = [row for path, row in run.each(lambda path: detect(path))]
        >>> run.finish()
    """

    def __init__(self, sources: Iterable[str], *, doing: str) -> None:
        self.paths = list(find_images(sources))
        self.failures: list[tuple[str, VultusError]] = []
        self._doing = doing
        if not self.paths:
            raise ImageError(f"no image in {', '.join(sources)}: no file with a known suffix is there")

    def each(self, process: Callable[[str], T]) -> Iterator[tuple[str, T]]:
        """The path and the result of every image that could be processed."""
        for path in with_progress(self.paths, doing=self._doing):
            try:
                result = process(path)
            except VultusError as error:
                self._fail(path, error)
                continue
            yield path, result

    def outcomes(self, outcomes: Iterable[Outcome[T]]) -> Iterator[tuple[str, T]]:
        """`each` for what is already at work: the path and the result of every image that could be processed.

        Args:
            outcomes: of `paths`, in their order, as `vultus.pipeline.stream` gives them.
        """
        for path, outcome in zip(with_progress(self.paths, doing=self._doing), outcomes, strict=True):
            if outcome.error:
                self._fail(path, outcome.error)
            else:
                yield path, outcome.result()

    def _fail(self, path: str, error: VultusError) -> None:
        self.failures.append((path, error))
        report(path, error)

    def finish(self) -> None:
        """End the command: with the first failure's exit code if there was one.

        Raises:
            typer.Exit: some images failed.
        """
        if not self.failures:
            return
        if len(self.paths) > 1:
            stderr.print(
                f"{len(self.failures)} of {len(self.paths)} images were skipped",
                style="yellow",
                highlight=False,
            )
        raise typer.Exit(self.failures[0][1].exit_code)


def with_progress(items: Sequence[T], *, doing: str) -> Iterator[T]:
    """The items, with a progress bar on standard error if that is a terminal and there are several."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_shown = len(items) > 1 and stderr.is_terminal
    with Progress(*columns, console=stderr, transient=True, disable=not is_shown) as progress:
        yield from progress.track(items, description=doing)


def report(path: str, error: VultusError) -> None:
    """Say on standard error why an image was skipped."""
    message = str(error)
    prefix = "" if path in message else f"{path}: "
    stderr.print(Text("error: ", style="red") + Text(prefix + message))


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """How a table for people calls each path: without the folders that all of them share."""
    if len(paths) < 2:
        return {path: Path(path).name for path in paths}
    shared = os.path.commonpath([Path(path).absolute().parent for path in paths])
    return {path: str(Path(path).absolute().relative_to(shared)) for path in paths}
