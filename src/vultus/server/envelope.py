"""The one form of all refusals: code, message, details and the id of the request."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vultus.errors import (
    BusyError,
    CredentialsError,
    DeadlineError,
    FaceCountError,
    InputError,
    SlowRequestError,
    TooLargeError,
    VultusError,
)

_log = logging.getLogger("vultus.server")


class RefusalResponse(Response):
    """An error as JSON. Plain ASCII, so that no text of a client can make it impossible to send."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return json.dumps(content).encode()


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    request_id: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that says no."""
    error = {"code": code, "message": message, "details": dict(details or {}), "request_id": request_id}
    return RefusalResponse({"error": error}, status_code=status, headers=dict(headers or {}))


def refusal_of(request: Request, error: Exception) -> Response:
    """The answer to whatever was raised while a request was answered."""
    request_id = request_id_of(request)
    if isinstance(error, VultusError):
        return refusal(
            error.http_status,
            error.code(),
            without_paths(str(error), request),
            request_id=request_id,
            details=_details(error),
            headers=_headers(error),
        )
    if isinstance(error, RequestValidationError):
        problems = [{"where": list(one["loc"]), "what": one["msg"]} for one in error.errors()]
        told = "; ".join(f"{'.'.join(map(str, one['where']))}: {one['what']}" for one in problems[:5])
        return refusal(
            InputError.http_status,
            "validation_error",
            f"the request is not as it should be: {told}"[:1000],
            request_id=request_id,
            details={"problems": json.loads(json.dumps(problems[:20], default=str))},
        )
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        headers = dict(error.headers or {})
        code = phrase.lower().replace(" ", "_")
        return refusal(error.status_code, code, str(error.detail), request_id=request_id, headers=headers)
    if isinstance(error, ClientDisconnect):
        return refusal(400, "client_disconnected", "the client has gone", request_id=request_id)
    _log.error("request %s failed", request_id, exc_info=error)
    return refusal(
        500, "internal_error", "something went wrong in the service; its log says what", request_id=request_id
    )


def request_id_of(request: Request) -> str:
    """As it stands in the answer's `X-Request-Id`."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def without_paths(message: str, request: Request) -> str:
    """A message without the folders of the server, which are nobody's business."""
    service = getattr(request.app.state, "service", None)
    if service is None:
        return message
    for place in (service.gallery.uri, str(service.settings.store)):
        message = message.replace(place, "the gallery" if "://" in place else Path(place).name)
    return message


def _details(error: VultusError) -> Mapping[str, Any]:
    if isinstance(error, FaceCountError):
        return {"face_count": error.face_count}
    if isinstance(error, BusyError):
        return {"retry_after_s": error.retry_after_s}
    return {}


def _headers(error: VultusError) -> Mapping[str, str]:
    if isinstance(error, BusyError):
        return {"Retry-After": str(max(1, ceil(error.retry_after_s)))}
    if isinstance(error, DeadlineError):
        return {"Retry-After": "1"}
    if isinstance(error, CredentialsError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, TooLargeError | SlowRequestError):
        return {"Connection": "close"}  # the rest of the body is not wanted
    return {}
