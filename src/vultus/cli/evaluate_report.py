"""`vultus evaluate report`: one page of several measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vultus.cli.images import stderr


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders that --report wrote into.", show_default=False),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the page goes.")] = Path("report"),
    title: Annotated[str, typer.Option("--title", help="Above the page.")] = "Evaluation",
) -> None:
    """One page, index.md and index.html, of several measurements: side by side where they are the same.

    Example: vultus evaluate report runs/lfw runs/lfw-sface runs/identify --out page
    """
    from vultus.evaluate.page import write_page

    for path in write_page(folders, out, title=title):
        stderr.print(f"wrote {path}", highlight=False, markup=False)
