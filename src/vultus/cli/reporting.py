"""How a measurement is presented: a progress bar, then a table or JSON, and a folder with the report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.errors import MissingExtraError

if TYPE_CHECKING:
    from vultus.evaluate.figures import Pictures
    from vultus.evaluate.report import Report

ReportFolder = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        help="Write report.json, report.md and the plots there.",
        show_default=False,
    ),
]


@contextmanager
def counted(what: str, *, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; what is given takes the number of things just done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def present(report: Report, folder: Path | None, *, as_json: bool, pictures: Pictures | None = None) -> None:
    """Print the report, as a table or JSON, and write it into `folder` if one is given, with its pictures."""
    if folder is not None:
        drawn = _drawn(pictures or {}, folder)
        report = replace(report, pictures=(*report.pictures, *(path.name for path in drawn)))
        for path in (*report.write(folder), *drawn):
            stderr.print(f"wrote {path}", highlight=False, markup=False)
    if as_json:
        print_json(asdict(report))
        return
    rows: list[dict[str, Any]] = [{"what": name, "value": value} for name, value in report.figures.items()]
    rows += [{"what": name, "value": value} for name, value in report.setting.items()]
    print_table(rows, columns={"what": "what", "value": "measured"}, title=report.title)


def _drawn(pictures: Pictures, folder: Path) -> tuple[Path, ...]:
    from vultus.evaluate.figures import save_pictures

    try:
        return save_pictures(pictures, folder)
    except MissingExtraError as error:
        stderr.print(f"no pictures: {error}", highlight=False, markup=False)
        return ()


def command_line() -> str:
    """What was typed, to repeat the measurement."""
    return shlex.join(["vultus", *sys.argv[1:]])
