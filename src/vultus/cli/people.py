"""`vultus people`: who is enrolled."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.output import one_format, print_csv, print_json, print_table
from vultus.cli.parts import any_gallery, open_gallery

if TYPE_CHECKING:
    from vultus.types import Identity

app = typer.Typer(no_args_is_help=True, help="List, show, rename, merge and remove the enrolled people.")

Person = Annotated[str, typer.Argument(help="The person's name or id.", show_default=False)]
Other = Annotated[str, typer.Argument(help="The other person's name or id.", show_default=False)]
Template = Annotated[int, typer.Argument(help="The number of the template.", show_default=False)]


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
    with any_gallery(gallery, salvage=salvage) as store:
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
    with any_gallery(gallery, salvage=salvage) as store:
        identity = store.find(person)
        templates = [
            {"template": number, "quality": one.quality, "source": one.source, "crop": one.crop is not None}
            for number, one in zip(store.template_ids(identity.id), store.templates(identity.id), strict=True)
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
    with any_gallery(gallery) as store:
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
    with any_gallery(gallery) as store:
        identity = store.find(person)
        if not yes:
            typer.confirm(f"Delete '{identity.name}' and {identity.template_count} templates?", abort=True)
        store.remove(identity.id)
    typer.echo(f"deleted '{identity.name}' ({identity.template_count} templates)")


@app.command("remove-template")
def remove_template(person: Person, template: Template, gallery: options.GalleryFile = None) -> None:
    """Delete one photo of a person; `vultus people show` and `vultus gallery doctor` tell its number.

    Example: vultus people remove-template "Eileen Collins" 12
    """
    with any_gallery(gallery) as store:
        after = store.remove_template(store.find(person).id, template)
    typer.echo(f"'{after.name}' has {after.template_count} templates now")


@app.command()
def move(person: Person, template: Template, to: Other, gallery: options.GalleryFile = None) -> None:
    """Give one photo to another person, whose it is.

    Example: vultus people move "Anna" 12 "Berta"
    """
    from vultus.gallery.reassign import move_template

    with open_gallery(gallery) as store:
        from_id, to_id = store.find(person).id, store.find(to).id
        after = move_template(store, template, from_id=from_id, to_id=to_id)
    typer.echo(f"'{after.name}' has {after.template_count} templates now")


@app.command()
def merge(person: Person, other: Other, gallery: options.GalleryFile = None) -> None:
    """Give all photos of the second person to the first, who keeps name and id; the second is deleted.

    Example: vultus people merge "Eileen Collins" "E. Collins"
    """
    from vultus.gallery.reassign import merge as merge_people

    with open_gallery(gallery) as store:
        after = merge_people(store, store.find(person).id, store.find(other).id)
    typer.echo(f"'{after.name}' has {after.template_count} templates now")


@app.command()
def differ(
    person: Person,
    other: Other,
    undo: Annotated[bool, typer.Option("--undo", help="Forget it again.")] = False,
    gallery: options.GalleryFile = None,
) -> None:
    """Remember that two people who look alike are not the same, so that the doctor stops asking.

    Example: vultus people differ "Anna" "Anna's twin"
    """
    from vultus.gallery.diagnosis import mark_different

    with open_gallery(gallery) as store:
        first, second = store.find(person), store.find(other)
        mark_different(store, first.id, second.id, are_different=not undo)
    typer.echo(f"'{first.name}' and '{second.name}' are {'not marked any more' if undo else 'two people'}")


def _fields(person: "Identity") -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "templates": person.template_count,
        "created": person.created,
        "metadata": dict(person.metadata),
    }
