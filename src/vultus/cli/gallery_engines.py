"""`vultus gallery copy` and `index`: from one engine to another, and what a large one needs."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.cli import options
from vultus.cli.output import print_json
from vultus.cli.parts import any_gallery, gallery_address
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.gallery.postgres import PostgresGallery

_WHERE = "A file, postgresql://user@host/database?gallery=NAME, or milvus://host:19530?gallery=NAME."


def copy(
    source: Annotated[str, typer.Argument(help=f"From where. {_WHERE}", show_default=False)],
    target: Annotated[str, typer.Argument(help="To where, likewise; made if missing.", show_default=False)],
    *,
    crops: Annotated[
        bool, typer.Option("--crops/--no-crops", help="Whether the aligned faces go along.")
    ] = True,
    sample: Annotated[
        int, typer.Option("--sample", min=0, help="Look for so many faces in both, and compare the answers.")
    ] = 200,
    as_json: options.Json = False,
) -> None:
    """Copy everybody into another gallery, of whichever engine, and verify that they arrived.

    Started again, it finishes a copy that was interrupted. The audit log stays behind.

    Example: vultus gallery copy people.db "postgresql://me@db.example/faces?gallery=staff"
    """
    from vultus.gallery import copy_gallery, open_gallery

    with ExitStack() as stack:
        old = stack.enter_context(any_gallery(source))
        new = stack.enter_context(open_gallery(target, contract=old.contract or None, keep_crops=crops))
        done = copy_gallery(old, new, crops=crops, sample=sample)
    if as_json:
        print_json(asdict(done))
        return
    typer.echo(
        f"copied {done.people} people with {done.templates} templates ({done.already} were there already); "
        f"digests are equal, and so are the answers for {done.compared} faces"
    )


def index(
    *,
    drop: Annotated[bool, typer.Option("--drop", help="Drop the index: search exactly again.")] = False,
    m: Annotated[int, typer.Option("--m", help="Neighbours of each vector in the graph.")] = 24,
    ef_construction: Annotated[
        int, typer.Option("--ef-construction", help="Candidates looked at for them.")
    ] = 128,
    ef_search: Annotated[int, typer.Option("--ef-search", help="Candidates looked at by a search.")] = 100,
    min_recall: Annotated[
        float, typer.Option("--min-recall", help="Share of probes whose closest template must be found.")
    ] = 0.99,
    memory_mb: Annotated[int, typer.Option("--memory-mb", min=16, help="For the server to build in.")] = 512,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Build an approximate index for a gallery in PostgreSQL, and measure what it misses.

    Example: vultus gallery index --gallery "postgresql://me@db.example/faces?gallery=staff"
    """
    with _in_postgres(gallery) as store:
        if drop:
            store.drop_index()
            typer.echo("every template is compared again")
            return
        built = store.build_index(
            m=m,
            ef_construction=ef_construction,
            ef_search=ef_search,
            min_recall=min_recall,
            memory_mb=memory_mb,
        )
    if as_json:
        print_json(asdict(built))
    else:
        typer.echo(str(built))


def _in_postgres(gallery: str | None) -> "PostgresGallery":
    where = gallery_address(gallery)
    if not where.startswith(("postgresql://", "postgres://")):
        raise InputError(f"only a gallery in PostgreSQL has an index; {where} compares every template")
    from vultus.gallery.postgres import PostgresGallery

    return PostgresGallery(where, create=False)
