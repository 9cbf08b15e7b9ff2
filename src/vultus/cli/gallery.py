"""`vultus gallery`: the file that holds the people."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import open_gallery

app = typer.Typer(no_args_is_help=True, help="Inspect, check, copy and rescue the gallery's file.")

DAMAGED = 5
"""`vultus gallery check` exits with this, as every GalleryError does, when something is damaged."""


@app.command()
def info(
    gallery: options.GalleryFile = None, salvage: options.Salvage = False, as_json: options.Json = False
) -> None:
    """What the gallery holds, and of which contract its vectors are.

    Example: vultus gallery info
    """
    with open_gallery(gallery, salvage=salvage) as store:
        facts = {"file": str(store.path)} | asdict(store.stats())
    if as_json:
        print_json(facts)
    else:
        print_table([{"what": key, "value": str(value)} for key, value in facts.items()], columns=_FACTS)


_FACTS = {"what": "gallery", "value": ""}


@app.command()
def check(gallery: options.GalleryFile = None, as_json: options.Json = False) -> None:
    """Verify every row, every crop and the structure of the file; exit with 5 if anything is damaged.

    Example: vultus gallery check
    """
    with open_gallery(gallery) as store:
        found = store.check()
    if as_json:
        print_json(asdict(found))
    else:
        _report_damage(found.damaged)
        verdict = "intact" if found.is_clean else f"{len(found.damaged)} damaged"
        typer.echo(f"{found.people} people, {found.templates} templates read: {verdict}")
    raise typer.Exit(0 if found.is_clean else DAMAGED)


@app.command()
def audit(gallery: options.GalleryFile = None, as_json: options.Json = False) -> None:
    """Who enrolled, renamed and removed whom, and when.

    Example: vultus gallery audit --json
    """
    with open_gallery(gallery) as store:
        entries = [_entry_fields(entry) for entry in store.audit()]
    if as_json:
        print_json(entries)
    else:
        print_table(entries, columns={key: key for key in ("at", "actor", "action", "name", "detail")})


@app.command()
def salvage(
    source: Annotated[Path, typer.Argument(help="The damaged gallery; it is only read.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="The new gallery.", show_default=False)],
) -> None:
    """Copy everything that is intact of a damaged gallery into a new one.

    Example: vultus gallery salvage people.db rescued.db
    """
    from vultus.gallery import salvage as copy_intact

    result = copy_intact(source, target)
    _report_damage(result.damaged)
    typer.echo(f"copied {result.people} people with {result.templates} templates to {target}")


def _report_damage(damaged: Iterable[object]) -> None:
    for one in damaged:
        stderr.print(f"damaged: {one}", style="red", markup=False, highlight=False)


def _entry_fields(entry: Any) -> dict[str, Any]:
    return {
        key: getattr(entry, key) for key in ("seq", "at", "actor", "action", "identity_id", "name", "detail")
    }
