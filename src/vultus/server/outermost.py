"""Around everything: the request's id, security headers, times, and what nobody else caught."""

import logging
import re
import time
import uuid
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vultus.server.envelope import refusal_of
from vultus.server.metrics import Metrics

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HSTS: Final = "max-age=31536000"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("vultus.access")


class Outermost:
    """ASGI middleware around the whole application.

    Args:
        app: what is inside.
        metrics: where times and statuses are counted.
        is_tls: answers say that browsers should insist on TLS.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, is_tls: bool) -> None:
        self._app, self._metrics = app, metrics
        self._headers = HEADERS | ({"Strict-Transport-Security": HSTS} if is_tls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = _id_of(request)
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)  # the web page has a policy of its own
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if status:  # an answer has begun: it can only be broken off
                raise
            await refusal_of(request, error)(scope, receive, sending)
        finally:
            self._note(request, status, time.perf_counter() - began)

    def _note(self, request: Request, status: int, seconds: float) -> None:
        route = getattr(request.scope.get("route"), "path", "")  # the pattern: a path could hold anything
        self._metrics.requests.labels(request.method[:10], route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        _log.info(
            "%s %s %d %.0f ms %s",
            request.method,
            route or "-",
            status,
            seconds * 1e3,
            request.scope["state"]["request_id"],
        )


def _id_of(request: Request) -> str:
    """The client's own id where it is harmless, else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex
