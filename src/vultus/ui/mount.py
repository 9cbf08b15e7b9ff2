"""The page inside of a FastAPI application: alone (`vultus ui`), or in the service (`vultus serve --ui`)."""

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import gradio
from fastapi import FastAPI, Request, Response
from starlette.routing import Mount

from vultus.errors import CredentialsError
from vultus.pipeline import FaceRecognizer
from vultus.ui.desk import Desk
from vultus.ui.gate import COOKIE, Gate, Sessions
from vultus.ui.host import ALONE, Host
from vultus.ui.markup import ICON_SVG
from vultus.ui.messages import LANGUAGES, Messages
from vultus.ui.page import build_page
from vultus.ui.theme import CSS, head, theme
from vultus.ui.visitor import SignIn, Visitor

MAX_UPLOAD_BYTES: Final = 200_000_000  # a video; photos are capped by their pixels
PATH: Final = "/ui"


def mount_ui(
    app: FastAPI,
    recognizer: FaceRecognizer,
    *,
    path: str = PATH,
    sign_in: SignIn | None = None,
    reports: Sequence[Path] = (),
    host: Host = ALONE,
) -> None:
    """Put the page into an application, before it starts.

    Args:
        app: gets the page in each language below `path`, and a middleware in front of it.
        recognizer: with a gallery; shared with whatever else the application does.
        path: such as "/ui"; "/" is the root.
        sign_in: whose key this is. None lets everybody who reaches the page do everything.
        reports: folders that hold a report of `vultus evaluate`, shown on the page.
        host: what the application does with changes, and how often it lets a key ask.

    Raises:
        InputError: the recognizer has no gallery.
    """
    _ = recognizer.gallery  # every tab but two needs it: better here than at the first click
    root = path.rstrip("/")
    sessions = Sessions(sign_in)

    def visitor_of(request: Request | gradio.Request) -> Visitor | None:
        return sessions.visitor(dict(request.cookies).get(COOKIE, ""))

    def signed_in(request: gradio.Request) -> Visitor:
        visitor = visitor_of(request)
        if visitor is None:
            raise CredentialsError("the session is over, or the key was revoked: sign in again")
        return visitor

    def name_of(request: Request) -> str | None:
        visitor = visitor_of(request)
        return None if visitor is None else visitor.name

    _keep_uploads_private()
    addresses = {language: f"{root}/{language}/" for language in LANGUAGES}

    def mount(language: str) -> None:
        desk = Desk(recognizer, Messages(language), tuple(reports), visitor_of=signed_in, host=host)
        page = build_page(desk, addresses=addresses, sign_out=f"{root}/logout" if sign_in else "")
        gradio.mount_gradio_app(
            app,
            page,
            f"{root}/{language}",
            footer_links=[],
            run_history=False,
            auth_dependency=name_of,
            show_error=False,
            max_file_size=MAX_UPLOAD_BYTES,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            theme=theme(),
            css=CSS,
            head=head(desk.say),
        )

    app.add_api_route("/favicon.ico", _icon, include_in_schema=False)
    for language in LANGUAGES:
        _in_a_loop(partial(mount, language))
    app.add_middleware(Gate, path=root, sessions=sessions, admit=host.admit)


def _icon() -> Response:
    """For browsers that ask for it before the page has told them of its own."""
    return Response(ICON_SVG, media_type="image/svg+xml")


def let_go(app: FastAPI) -> None:
    """End the connections that open pages hold, which a server would wait for; within the server's loop."""
    for route in app.routes:
        if isinstance(route, Mount) and isinstance(route.app, gradio.routes.App):
            route.app.stop_event.set()


def _in_a_loop(build: Callable[[], None]) -> None:
    """Where no event loop runs, Gradio makes new ones for its locks, and never closes them."""

    async def building() -> None:
        build()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(building())
    else:
        build()


def _keep_uploads_private() -> None:
    """Gradio keeps uploads in a folder until the page cleans it; by default one that others can read."""
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = mkdtemp(prefix="vultus-ui-")
