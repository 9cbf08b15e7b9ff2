"""`vultus keys`: who may use the service."""

from typing import Annotated, Any

import typer

from vultus.access.keys import ApiKey, ApiKeys, Scope
from vultus.access.store import Store
from vultus.cli import options
from vultus.cli.output import print_json, print_table
from vultus.cli.serve import service_file

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of a gallery's service.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, for people.", show_default=False)],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            "--scope",
            help="What it is for; may be repeated. read: ask; enrol: also change people; decide: only ask "
            "whether a door may open; admin: everything.  [default: read]",
            show_default=False,
        ),
    ] = None,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Make a key and print it, this once: only its hash is stored.

    Example: vultus keys create "front door" --scope decide
    """
    key, text = _keys(gallery).create(name, scope or [Scope.READ])
    if as_json:
        print_json(_fields(key) | {"key": text})
    else:
        typer.echo(text)


@app.command("list")
def list_keys(gallery: options.GalleryFile = None, as_json: options.Json = False) -> None:
    """All keys, without their secrets.

    Example: vultus keys list
    """
    rows = [_fields(key) for key in _keys(gallery).list()]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns={key: key for key in ("id", "name", "scopes", "created", "revoked")})


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.", show_default=False)],
    gallery: options.GalleryFile = None,
) -> None:
    """Make a key void at once, for good.

    Example: vultus keys revoke 5f0c1e2d3a4b
    """
    key = _keys(gallery).revoke(key_id)
    typer.echo(f"key {key.id} ('{key.name}') is void since {key.revoked}")


def _keys(gallery: Any) -> ApiKeys:
    return ApiKeys(Store(service_file(gallery)))


def _fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": " ".join(key.scopes),
        "created": key.created,
        "revoked": key.revoked,
    }
