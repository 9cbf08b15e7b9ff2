"""One conversation with a service: keys, repeats, and refusals as the errors of the library."""

import time
import uuid
from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any, Final

import httpx

from vultus import errors
from vultus.errors import BusyError, FaceCountError, ServiceError, VultusError

ATTEMPTS: Final = 4
LONGEST_WAIT_S: Final = 30.0
_AGAIN: Final = {429, 503}
_CLASSES: Final = {
    value.code(): value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, VultusError)
}


class Connection:
    """Sends requests and reads answers. Safe to use from several threads.

    A request that was refused because the service is busy is sent again after the time it asks for; so is one
    whose answer got lost, since each write carries an idempotency key.

    Args:
        url: of the service, such as "https://faces.example:8000".
        key: an API key; None where none is asked for.
        timeout_s: for each attempt.
        attempts: how often a request is sent at most.
        transport: how requests travel, for tests and for proxies.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        attempts: int = ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url, self._attempts = url.rstrip("/"), attempts
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            self._http = httpx.Client(
                base_url=self._url, headers=headers, timeout=timeout_s, transport=transport
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ServiceError(f"{url!r} is no address, or the key no key: {error}") from error

    def close(self) -> None:
        """Close it; closing twice is no mistake."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        fields: Mapping[str, Any] | None = None,
        files: list[tuple[str, bytes]] | None = None,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """One request.

        Args:
            method: "GET", "POST", ...
            path: such as "/v1/people".
            fields: of a multipart body, beside files.
            files: name and content of each.
            json: the body as JSON, in place of a multipart one.
            query: parameters in the address; those that are None are left out.
            content: the body as it is.

        Raises:
            ServiceError: the service cannot be reached, or does not speak as a Vultus service does.
            VultusError: what the service refused, as the same error that the library raises.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": uuid.uuid4().hex}
        request = self._request(method, path, headers, fields, files, json, query, content)
        for attempt in range(1, self._attempts + 1):
            is_last = attempt == self._attempts
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if is_last:
                    raise ServiceError(
                        f"{self._url} cannot be reached: {error or type(error).__name__}"
                    ) from error
                time.sleep(min(0.2 * 2**attempt, LONGEST_WAIT_S))
                continue
            if answer.status_code in _AGAIN and not is_last:
                time.sleep(_wait_s(answer, attempt))
                continue
            break
        if not answer.is_success:
            raise error_of(answer)
        return answer

    def json(self, method: str, path: str, **parts: Any) -> Any:
        """One request, and the JSON of its answer; the arguments are those of `send`."""
        answer = self.send(method, path, **parts)
        try:
            return answer.json()
        except (JSONDecodeError, UnicodeDecodeError) as error:
            raise ServiceError(f"{self._url} does not answer as a Vultus service does: no JSON") from error

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        fields: Mapping[str, Any] | None,
        files: list[tuple[str, bytes]] | None,
        json: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        content: bytes | None,
    ) -> httpx.Request:
        data = {name: value for name, value in (fields or {}).items() if value is not None}
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        parts = None if files is None else [(name, ("image", part)) for name, part in files]
        return self._http.build_request(
            method,
            path,
            headers=headers,
            data=data,
            files=parts,
            json=json,
            params=parameters,
            content=content,
        )


def error_of(answer: httpx.Response) -> VultusError:
    """The error that an answer tells of; a `ServiceError` where that is none of the library's."""
    try:
        told = answer.json()["error"]
        code, message, details = told["code"], told["message"], told["details"]
    except (ValueError, LookupError, TypeError):
        return ServiceError(f"the server answered {answer.status_code} {answer.reason_phrase}")
    kind = _CLASSES.get(code)
    if kind is FaceCountError:
        return FaceCountError(message, face_count=int(details.get("face_count", 0)))
    if kind is BusyError:
        return BusyError(message, retry_after_s=float(details.get("retry_after_s", 1)))
    if kind is None:
        return errors.InputError(message) if answer.status_code == 422 else ServiceError(message)
    return kind(message)


def _wait_s(answer: httpx.Response, attempt: int) -> float:
    told = answer.headers.get("retry-after", "")
    return min(float(told) if told.isdecimal() else 0.5 * 2**attempt, LONGEST_WAIT_S)
