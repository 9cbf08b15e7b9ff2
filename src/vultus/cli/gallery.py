"""`vultus gallery`: the file that holds the people."""

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vultus.cli import gallery_care, gallery_engines, gallery_privacy, options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import any_gallery, gallery_path, open_gallery

app = typer.Typer(no_args_is_help=True, help="Inspect, check, copy and rescue the gallery's file.")

app.command("doctor")(gallery_care.doctor)
app.command("migrate")(gallery_care.migrate)
app.command("calibration")(gallery_care.calibration)
app.command("erase")(gallery_privacy.erase)
app.command("retention")(gallery_privacy.retention)
app.command("new-key")(gallery_privacy.new_key)
app.command("encrypt")(gallery_privacy.encrypt)
app.command("rotate-key")(gallery_privacy.rotate_key)
app.command("copy")(gallery_engines.copy)
app.command("index")(gallery_engines.index)

DAMAGED = 5
"""`vultus gallery check` exits with this, as every GalleryError does, when something is damaged."""


@app.command()
def info(
    gallery: options.GalleryFile = None, salvage: options.Salvage = False, as_json: options.Json = False
) -> None:
    """What the gallery holds, and of which contract its vectors are.

    Example: vultus gallery info
    """
    with any_gallery(gallery, salvage=salvage) as store:
        facts = {"gallery": store.uri} | asdict(store.stats())
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
    with any_gallery(gallery) as store:
        found = store.check()
    if as_json:
        print_json(asdict(found))
    else:
        _report_damage(found.damaged)
        verdict = "intact" if found.is_clean else f"{len(found.damaged)} damaged"
        typer.echo(f"{found.people} people, {found.templates} templates read: {verdict}")
    raise typer.Exit(0 if found.is_clean else DAMAGED)


@app.command()
def audit(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write it as CSV, for auditors.", show_default=False
        ),
    ] = None,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Who enrolled, renamed, removed and erased whom, and when.

    Example: vultus gallery audit --output audit.csv
    """
    with any_gallery(gallery) as store:
        entries = [_entry_fields(entry) for entry in store.audit()]
    if output is not None:
        from vultus.gallery.journal import write_audit

        write_audit(entries, output)
        typer.echo(f"wrote {len(entries)} entries to {output}")
    elif as_json:
        print_json(entries)
    else:
        print_table(entries, columns={key: key for key in ("at", "actor", "action", "name", "detail")})


@app.command("export")
def export_people(
    target: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    decrypted: Annotated[
        bool, typer.Option("--decrypted", help="Write what is encrypted in the gallery for all to read.")
    ] = False,
    gallery: options.GalleryFile = None,
) -> None:
    """Write everybody into one file with checksums: for backups and for moving house.

    Example: vultus gallery export backup.zip
    """
    with open_gallery(gallery) as store:
        store.export(target, decrypted=decrypted)
        stats = store.stats()
    typer.echo(f"exported {stats.people} people with {stats.templates} templates to {target}")


class OnConflict(StrEnum):
    """What to do about somebody who is in the gallery already."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


@app.command("import")
def import_people(
    source: Annotated[Path, typer.Argument(help="A file that export wrote.", show_default=False)],
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            "--on-conflict",
            help="Somebody who is there already: error changes nothing, skip keeps the gallery's, "
            "replace takes the file's.",
        ),
    ] = OnConflict.ERROR,
    gallery: options.GalleryFile = None,
) -> None:
    """Add everybody of an exported file: all of them, or none. The gallery is made if it is missing.

    Example: vultus gallery import backup.zip --on-conflict skip
    """
    from vultus.gallery import SqliteGallery

    with SqliteGallery(gallery_path(gallery)) as store:
        done = store.import_from(source, on_conflict=on_conflict.value)
    typer.echo(
        f"imported {done.people} people with {done.templates} templates "
        f"({done.skipped} skipped, {done.replaced} replaced)"
    )


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
