"""Running the application: uvicorn, with a clock on the head of each request, and without what it tells."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from vultus.errors import InputError
from vultus.server.settings import Settings

ENVIRONMENT: Final = "VULTUS_SERVICE"
MAX_HEAD_BYTES: Final = 32_768
KEEP_ALIVE_S: Final = 15
BACKLOG: Final = 2048


class TimedProtocol(H11Protocol):
    """HTTP/1.1 that hangs up where a request's head does not arrive in time (a slow loris).

    uvicorn waits for ever for the end of a head that has begun; bodies are timed by `body.limited`.

    Args:
        head_timeout_s: for the first head from the connection on, for others from their first byte.
        **options: as uvicorn gives them.
    """

    def __init__(self, *, head_timeout_s: float, **options: Any) -> None:
        super().__init__(**options)
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection: its first head has to come."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """More bytes: of a head that is awaited, or of the next one after an answer."""
        if not self._is_answering() and self._head_timer is None:
            self._expect_head()
        super().data_received(data)
        if self._is_answering():
            self._stop_timer()  # the head is complete

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._stop_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """An answer was given: the connection is idle, which uvicorn's keep-alive limits."""
        self._stop_timer()
        super().on_response_complete()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self._head_timeout_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Server(uvicorn.Server):
    """uvicorn that says when it begins to end, before it waits for the last answers.

    Args:
        config: as `make_config` makes it.
        on_ending: called in the server's loop; ends what would otherwise be waited for in vain.
    """

    def __init__(self, config: uvicorn.Config, *, on_ending: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._on_ending = on_ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, answer those there are, and end."""
        self._on_ending()
        await super().shutdown(sockets)


def make_config(
    app: FastAPI | str,
    settings: Settings,
    *,
    port: int,
    workers: int = 1,
    certificate: Path | None = None,
    key: Path | None = None,
) -> uvicorn.Config:
    """How uvicorn runs a service.

    Args:
        app: the application, or where the worker processes find the function that makes it.
        settings: of the service.
        port: 0 takes a free one.
        workers: processes; more than one need the function.
        certificate: for TLS, a PEM file.
        key: of the certificate.
    """
    return uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        factory=isinstance(app, str),
        workers=workers,
        http=partial(TimedProtocol, head_timeout_s=settings.header_timeout_s),  # type: ignore[arg-type]  # it is called
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,  # addresses and paths of people; the audit log has what is needed
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_worker_healthcheck=30,
        timeout_graceful_shutdown=settings.grace_s,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )


def to_environment(settings: Settings, engine: Mapping[str, Any]) -> None:
    """Leave for the worker processes what they need to make the application: settings, and engine options."""
    values = {"settings": asdict(settings), "engine": dict(engine)}
    os.environ[ENVIRONMENT] = json.dumps(values, default=str)


def from_environment() -> tuple[Settings, dict[str, Any]]:
    """What the parent process left."""
    values = json.loads(os.environ[ENVIRONMENT])
    told: dict[str, Any] = values["settings"]
    for name in ("store", "doors"):
        told[name] = Path(told[name]) if told[name] else None
    return Settings(**told | {"cors_origins": tuple(told["cors_origins"])}), values["engine"]


def listening(host: str, port: int) -> socket.socket:
    """A socket on which clients may queue while models are still being loaded.

    Raises:
        InputError: the address cannot be listened on.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    listener.set_inheritable(True)
    return listener
