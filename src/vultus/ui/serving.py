"""The page alone, on a server of its own."""

import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from vultus.errors import InputError
from vultus.pipeline import FaceRecognizer
from vultus.ui.mount import mount_ui
from vultus.ui.visitor import EVERYTHING, SignIn, Visitor

SHUTDOWN_SECONDS = 5  # an open page holds a connection for as long as it is open
LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]


def make_app(recognizer: FaceRecognizer, *, key: str | None, reports: Sequence[Path] = ()) -> FastAPI:
    """The page at the root of an application.

    Args:
        recognizer: with a gallery.
        key: what visitors sign in with. Without one, the page answers only to the names of this computer: a
            site that gives itself our address by a trick of its name server gets nothing.
        reports: folders that hold a report of `vultus evaluate`.
    """
    app = FastAPI(openapi_url=None)
    mount_ui(app, recognizer, path="/", sign_in=None if key is None else with_key(key), reports=reports)
    if key is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
    return app


def with_key(key: str) -> SignIn:
    """Whoever has the key may do everything. The comparison takes the same time whatever is wrong."""

    def sign_in(given: str) -> Visitor | None:
        return EVERYTHING if secrets.compare_digest(given.encode(), key.encode()) else None

    return sign_in


def serve(
    recognizer: FaceRecognizer,
    *,
    host: str,
    port: int,
    key: str | None,
    reports: Sequence[Path],
    announce: Callable[[str], None],
) -> None:
    """Serve the page until it is interrupted.

    Args:
        recognizer: with a gallery.
        host: the address to listen on.
        port: 0 takes a free one.
        key: what visitors sign in with; None lets everybody in.
        reports: folders that hold a report of `vultus evaluate`.
        announce: told the page's address, with the key in it.

    Raises:
        InputError: the address cannot be listened on.
    """
    app = make_app(recognizer, key=key, reports=reports)
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        entrance = "" if key is None else f"login?key={key}"
        address = f"http://{shown}:{listener.getsockname()[1]}/{entrance}"
        # Without a log of requests: the first one carries the key in its address.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        announce(address)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from error
    return listener
