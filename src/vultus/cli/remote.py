"""`--server URL --key KEY`: the same commands, done by a service."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.cli import options
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.client import VultusClient

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="VULTUS_SERVER",
        metavar="URL",
        help="Let this service do it, in place of this machine.",
        show_default=False,
        rich_help_panel="Service",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="VULTUS_KEY",
        help="An API key of the service; better in the environment, where others do not see it.",
        show_default=False,
        show_envvar=True,
        rich_help_panel="Service",
    ),
]
_OF_OUTPUT = frozenset({"images", "first", "second", "as_json", "as_csv", "draw", "server", "key"})


def connect(
    server: str | None, key: str | None, *, context: typer.Context, also: Collection[str] = ()
) -> VultusClient | None:
    """A client of the service that was asked for, closed after the command; None: then it is done here.

    Args:
        server: the service's address.
        key: an API key.
        context: of the command.
        also: the command's parameters that a service understands, beyond what is read and shown here.

    Raises:
        InputError: an option was given that a service does not understand.
        MissingExtraError: httpx is not installed.
        ServiceError: no address.
    """
    if server is None:
        return None
    understood = _OF_OUTPUT | set(also)
    for name in options.given(context):
        if name not in understood:
            raise InputError(
                f"--{name.replace('_', '-')} is for work on this machine; with --server the service decides"
            )
    from vultus.client import VultusClient

    client = VultusClient(server, key=key)
    context.call_on_close(client.close)
    return client
