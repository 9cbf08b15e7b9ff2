"""What stands before every route: key, scope, rate, room, size of the body; and what is noted after it.

All of that happens before a byte of the body is read, but for the body itself, which is counted and timed
while it comes in. A route says what it needs in its line of the table (`routes/`); one that says nothing
cannot be made.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vultus.access.keys import ApiKey, Scope
from vultus.access.webhook import is_loopback
from vultus.errors import InputError, ScopeError
from vultus.server.answers import ErrorOut
from vultus.server.body import Body, body_document, check_length, limited
from vultus.server.deadline import deadline_in
from vultus.server.envelope import refusal_of, request_id_of
from vultus.server.replay import MAX_TOKEN, StoredAnswer, digest_of
from vultus.server.service import Service

NOBODY: Final = ApiKey("", "without authentication", (Scope.ADMIN,), "")
SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"header": []}]
_WRITES: Final = {"POST", "PUT", "PATCH", "DELETE"}
_MEANINGS: Final = {
    400: "The request cannot be understood.",
    401: "No key, or one that is not valid.",
    403: "The key is not for this.",
    404: "Nobody of this id, or no such template or door.",
    408: "The body did not arrive in time.",
    409: "The gallery cannot do it: the name is taken, or belongs to somebody who looks different; or an "
    "Idempotency-Key that was used for something else.",
    413: "More bytes, images or pixels than the service takes.",
    415: "The body is of a type that is not read here.",
    422: "An image without the one face that is meant, or anything else that cannot be used.",
    429: "Too many requests: wait for `Retry-After` seconds.",
    503: "It would have taken too long; nothing was changed.",
}


def service_of(request: Request) -> Service:
    """What the routes share."""
    service: Service = request.app.state.service
    return service


def key_of(request: Request) -> ApiKey:
    """Whose request it is; known behind the guard."""
    key: ApiKey = request.state.key
    return key


class GuardedRoute(APIRoute):
    """A route that needs a key.

    Args:
        path: such as "/v1/people/{person_id}".
        endpoint: answers.
        method: "GET", "POST", ...
        needs: the scope without which it is not even read.
        body: how its body is read; None for a route without one.
        is_write: it changes or decides something: noted in the audit log, may carry an Idempotency-Key.
        reads_stream: the endpoint reads its body itself, up to `max_import_bytes`.
        is_forgetful: the audit log says that it was asked, not about whom; its answer is not kept either.
        document: more for OpenAPI.
        **options: of `fastapi.routing.APIRoute`.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        method: str,
        needs: Scope,
        body: type[Body] | None = None,
        is_write: bool = False,
        reads_stream: bool = False,
        is_forgetful: bool = False,
        document: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.method, self.needs = method, needs
        self.is_write, self.reads_stream, self.is_forgetful = is_write, reads_stream, is_forgetful
        self.may_repeat = is_write and method != "GET" and not reads_stream and not is_forgetful
        self.has_body = body is not None or reads_stream
        extra = {"security": SECURITY, "x-scope": str(needs)} | (document or {})
        if body is not None:
            extra |= body_document(body)
        if self.may_repeat:
            extra["parameters"] = [_IDEMPOTENCY_KEY]
        options.setdefault("responses", {}).update(_refusals(has_body=self.has_body))
        options.setdefault("operation_id", endpoint.__name__)
        super().__init__(path, endpoint, methods=[method], openapi_extra=extra, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint behind the guard."""
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            service = service_of(request)
            try:
                request.state.key = key = who_asks(request, service)
            except Exception as error:  # noqa: BLE001 (the edge: every error becomes an answer)
                return refusal_of(request, error)
            try:
                key.require(self.needs)
                service.rate.take(key.id)
                with _room(service):
                    response = await self._answered(request, service, answer)
            except Exception as error:  # noqa: BLE001 (likewise)
                response = refusal_of(request, error)
            if self.is_write:
                await run_in_threadpool(self._note, request, service, response.status_code)
            return response

        return guarded

    async def _answered(
        self,
        request: Request,
        service: Service,
        answer: Callable[[Request], Coroutine[Any, Any, Response]],
    ) -> Response:
        """Read the body within its limits, and answer; or repeat an answer that was given before."""
        settings = service.settings
        max_bytes = settings.max_import_bytes if self.reads_stream else settings.max_body_bytes
        check_length(request, max_bytes=max_bytes)
        receive = limited(request.receive, max_bytes=max_bytes, timeout_s=settings.body_timeout_s)
        request = Request(request.scope, receive)
        if self.reads_stream:
            return await answer(request)
        await request.body()
        token = request.headers.get("idempotency-key") if self.may_repeat else None
        with deadline_in(settings.deadline_s):  # a slow line costs its owner only the time for the body
            if token is None:
                return await answer(request)
            return await self._answered_once(request, service, token, answer)

    async def _answered_once(
        self,
        request: Request,
        service: Service,
        token: str,
        answer: Callable[[Request], Coroutine[Any, Any, Response]],
    ) -> Response:
        """Answer, or repeat the answer that was given to the same request before."""
        if not 1 <= len(token) <= MAX_TOKEN:
            raise InputError(f"an Idempotency-Key has 1 to {MAX_TOKEN} characters, got {len(token)}")
        key_id = key_of(request).id
        place = f"{request.url.path}?{request.url.query}"
        digest = digest_of(request.method, place, await request.body())
        before = await run_in_threadpool(service.replays.begin, key_id, token, digest)
        if before is not None:
            headers = {"Idempotency-Replayed": "true"}
            return Response(before.body, before.status, headers, media_type=before.content_type)
        try:
            response = await answer(request)
        except Exception as error:  # noqa: BLE001 (a refusal is an answer, too)
            response = refusal_of(request, error)
        kind = response.headers.get("content-type", "application/json")
        kept = StoredAnswer(response.status_code, kind, bytes(response.body))
        await run_in_threadpool(service.replays.finish, key_id, token, kept)
        return response

    def _note(self, request: Request, service: Service, status: int) -> None:
        about = () if self.is_forgetful else request.path_params.values()
        service.audit.note(
            request_id=request_id_of(request),
            key_id=key_of(request).id,
            action=f"{request.method} {self.path_format}",
            target=" ".join(str(value) for value in about),
            status=status,
        )


def who_asks(request: Request, service: Service) -> ApiKey:
    """The key of a request.

    Raises:
        CredentialsError: no valid key.
        ScopeError: without authentication, a request of another web site's page.
    """
    if not service.settings.require_key:
        _check_same_site(request)
        return NOBODY
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key")
    return service.keys.authenticate(given)


def _check_same_site(request: Request) -> None:
    """Where no key is asked for, the browser of somebody on this machine must not be lent to other sites."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    is_named_as_ours = is_loopback(urlsplit(f"//{host}").hostname or "")  # a site may point its name at us
    if not is_named_as_ours or (origin is not None and urlsplit(origin).netloc != host):
        raise ScopeError("without keys the service does not answer the pages of other web sites")


@contextmanager
def _room(service: Service) -> Iterator[None]:
    service.admission.enter()
    service.metrics.in_flight.inc()
    try:
        yield
    finally:
        service.metrics.in_flight.dec()
        service.admission.leave()


def _refusals(*, has_body: bool) -> dict[int | str, dict[str, Any]]:
    of_bodies = {408, 413, 415}
    return {
        status: {"model": ErrorOut, "description": meaning}
        for status, meaning in _MEANINGS.items()
        if has_body or status not in of_bodies
    }


_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same, a write happens once: the first answer is repeated.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_TOKEN},
}
