"""`vultus people`: who is enrolled."""

from typing import Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.output import one_format, print_csv, print_json, print_table
from vultus.cli.parts import open_gallery
from vultus.types import Identity

app = typer.Typer(no_args_is_help=True, help="List, show, rename and remove the enrolled people.")

Person = Annotated[str, typer.Argument(help="The person's name or id.", show_default=False)]


@app.command("list")
def list_people(
    *,
    gallery: options.GalleryFile = None,
    salvage: options.Salvage = False,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Everybody in the gallery, by name.

    Example: vultus people list --json
    """
    one_format(as_json=as_json, as_csv=as_csv)
    with open_gallery(gallery, salvage=salvage) as store:
        rows = [_fields(person) for person in store.people()]
    if as_json:
        print_json(rows)
    elif as_csv:
        print_csv(rows, columns=["id", "name", "templates", "created"])
    else:
        print_table(rows, columns={"name": "name", "templates": "templates", "created": "since", "id": "id"})


@app.command()
def show(
    person: Person,
    *,
    gallery: options.GalleryFile = None,
    salvage: options.Salvage = False,
    as_json: options.Json = False,
) -> None:
    """One person, with their templates.

    Example: vultus people show "Eileen Collins"
    """
    with open_gallery(gallery, salvage=salvage) as store:
        identity = store.find(person)
        templates = [
            {"template": i, "quality": one.quality, "source": one.source, "crop": one.crop is not None}
            for i, one in enumerate(store.templates(identity.id))
        ]
    if as_json:
        print_json(_fields(identity) | {"samples": templates})
        return
    print_table([_fields(identity)], columns={key: key for key in ("name", "id", "created", "metadata")})
    print_table(templates, columns={key: key for key in ("template", "quality", "crop", "source")})


@app.command()
def rename(
    person: Person,
    name: Annotated[str, typer.Argument(help="The new name.", show_default=False)],
    gallery: options.GalleryFile = None,
) -> None:
    """Give a person another display name; the id stays.

    Example: vultus people rename "E. Collins" "Eileen Collins"
    """
    with open_gallery(gallery) as store:
        before = store.find(person)
        after = store.rename(before.id, name)
    typer.echo(f"'{before.name}' is now '{after.name}'")


@app.command()
def remove(
    person: Person,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    gallery: options.GalleryFile = None,
) -> None:
    """Delete a person and every template of theirs.

    Example: vultus people remove "Eileen Collins" --yes
    """
    with open_gallery(gallery) as store:
        identity = store.find(person)
        if not yes:
            typer.confirm(f"Delete '{identity.name}' and {identity.template_count} templates?", abort=True)
        store.remove(identity.id)
    typer.echo(f"deleted '{identity.name}' ({identity.template_count} templates)")


def _fields(person: Identity) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "templates": person.template_count,
        "created": person.created,
        "metadata": dict(person.metadata),
    }
