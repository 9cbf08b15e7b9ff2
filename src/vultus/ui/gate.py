"""The door of the page: sign in with a key, a session in a cookie, and headers that keep others out.

Everything below the page's path goes through here, the files of Gradio too. A session holds the key and asks
about it at every request: a key that is revoked ends its sessions. Sessions live in this process, as Gradio's
own state does: the page wants one worker.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vultus.errors import BusyError
from vultus.ui.login_page import login_page
from vultus.ui.messages import LANGUAGES, Messages, preferred_language
from vultus.ui.theme import CONTENT_POLICY
from vultus.ui.visitor import EVERYTHING, SignIn, Visitor

COOKIE: Final = "vultus_session"
SESSION_SECONDS: Final = 12 * 3600
MAX_SESSIONS: Final = 10_000  # the oldest go first
MAX_FORM_BYTES: Final = 4096  # a key and a little

ASSETS_KEPT: Final = "private, max-age=86400"  # their names change with their contents
HEADERS: Final = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class _Session:
    key: str
    ends: float


class Sessions:
    """Who is signed in.

    Args:
        sign_in: whose key this is; None lets everybody do everything.
        clock: seconds that only go forward.
    """

    def __init__(self, sign_in: SignIn | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.sign_in = sign_in
        self._clock = clock
        self._open: dict[str, _Session] = {}

    def start(self, key: str) -> str | None:
        """The cookie of a new session; None if the key is nobody's."""
        if self.sign_in is None or self.sign_in(key) is None:
            return None
        now = self._clock()
        self._make_room(now)
        token = secrets.token_urlsafe(32)
        self._open[token] = _Session(key, now + SESSION_SECONDS)
        return token

    def _make_room(self, now: float) -> None:
        """All sessions last equally long, so the first one ends first."""
        while self._open:
            oldest = next(iter(self._open))
            if self._open[oldest].ends > now and len(self._open) < MAX_SESSIONS:
                break
            del self._open[oldest]

    def end(self, token: str) -> None:
        """Sign out."""
        self._open.pop(token, None)

    def visitor(self, token: str) -> Visitor | None:
        """Whose session this is, with the rights that their key has now; None if it is nobody's."""
        if self.sign_in is None:
            return EVERYTHING
        session = self._open.get(token)
        if session is None or session.ends <= self._clock():
            return None
        return self.sign_in(session.key)


class Gate:
    """ASGI middleware around everything below `path`.

    Args:
        app: what is behind it.
        path: of the page, such as "/ui"; "" is the root.
        sessions: who is signed in.
        admit: asked with the id of the visitor's key before each upload and each action, not before each
            picture of the page; raises BusyError for one that asks too often.
    """

    def __init__(
        self, app: ASGIApp, *, path: str, sessions: Sessions, admit: Callable[[str], None] = lambda _: None
    ) -> None:
        self._app, self._path, self._sessions, self._admit = app, path, sessions, admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        is_ours = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{self._path}/")
        if not is_ours:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = await self._answer(request)
        cache = ASSETS_KEPT if "/assets/" in scope["path"] else "no-store"
        await (answer or self._app)(scope, receive, _with_headers(send, cache))

    async def _answer(self, request: Request) -> Response | None:
        """What is answered at the door; None lets the request in."""
        inner = request.url.path.removeprefix(self._path).strip("/")
        if request.method not in _SAFE_METHODS and not _is_same_origin(request):
            return PlainTextResponse("this request comes from another site", HTTPStatus.FORBIDDEN)
        if inner == "login" and self._sessions.sign_in is not None:
            return await self._login(request)
        if inner == "logout":
            return self._logout(request)
        visitor = self._sessions.visitor(request.cookies.get(COOKIE, ""))
        if visitor is None:
            return self._turned_away(request)
        if inner == "" or (inner in LANGUAGES and not request.url.path.endswith("/")):
            return _see(self._page(inner or _language(request)))
        return self._told_to_wait(request, visitor)

    def _told_to_wait(self, request: Request, visitor: Visitor) -> Response | None:
        """Whoever asks too often; Gradio shows them what stands under "detail"."""
        if request.method in _SAFE_METHODS:
            return None
        try:
            self._admit(visitor.key_id)
        except BusyError as error:
            wait_s = {"retry-after": str(max(1, ceil(error.retry_after_s)))}
            told = Messages(_language(request))("error_busy")
            return JSONResponse({"detail": told}, HTTPStatus.TOO_MANY_REQUESTS, wait_s)
        return None

    def _turned_away(self, request: Request) -> Response:
        """People are led to the form; programs are told."""
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return _see(f"{self._path}/login")
        return PlainTextResponse("not signed in", HTTPStatus.UNAUTHORIZED)

    def _page(self, language: str) -> str:
        return f"{self._path}/{language}/"

    async def _login(self, request: Request) -> Response:
        """The form; or, given a key in the form or the address, a session and the page."""
        if request.method == "POST":
            key = parse_qs((await _small_body(request)).decode("utf-8", "replace")).get("key", [""])[0]
        else:
            key = request.query_params.get("key", "")
        say = Messages(_language(request))
        token = self._sessions.start(key.strip()) if key else None
        if token is None:
            status = HTTPStatus.UNAUTHORIZED if key else HTTPStatus.OK
            return HTMLResponse(login_page(say, is_wrong=bool(key), action=f"{self._path}/login"), status)
        answer = _see(self._page(say.language))
        answer.set_cookie(
            COOKIE,
            token,
            max_age=SESSION_SECONDS,
            path=self._path or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _logout(self, request: Request) -> Response:
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer = _see(f"{self._path}/")
        answer.delete_cookie(COOKIE, path=self._path or "/")
        return answer


def _see(address: str) -> RedirectResponse:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def _language(request: Request) -> str:
    return preferred_language(request.headers.get("accept-language", ""))


def _is_same_origin(request: Request) -> bool:
    """Browsers name the origin of every request that changes something; programs need not."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _small_body(request: Request) -> bytes:
    """The first `MAX_FORM_BYTES` of a form; what is longer is no key."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            break
    return body[:MAX_FORM_BYTES]


def _with_headers(send: Send, cache_control: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS | {"cache-control": cache_control})
        await send(message)

    return sending
