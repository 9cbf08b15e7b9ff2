"""One conversation with a service: keys, repeats, and refusals as the errors of the library."""

import time
import uuid
from json import JSONDecodeError
from types import TracebackType
from typing import Any, Final, Self

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
        _check_address(self._url)
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ServiceError("the key is none: it holds what no key does")
        self._http = httpx.Client(
            base_url=self._url,
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=timeout_s,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; closing twice is no mistake."""
        self._http.close()

    def send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """One request.

        Args:
            method: "GET", "POST", ...
            path: such as "/v1/people".
            **parts: `params`, and one of `json`, `content` or `files` with `data`, as httpx takes them.

        Raises:
            ServiceError: the service cannot be reached, or does not speak as a Vultus service does.
            VultusError: what the service refused, as the same error that the library raises.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": uuid.uuid4().hex}
        request = self._http.build_request(method, path, headers=headers, **parts)
        for attempt in range(1, self._attempts):
            try:
                answer = self._http.send(request)
            except httpx.TransportError:
                time.sleep(0.2 * 2**attempt)
                continue
            if answer.status_code not in _AGAIN:
                return _accepted(answer)
            time.sleep(_wait_s(answer, attempt))
        try:
            return _accepted(self._http.send(request))
        except httpx.TransportError as error:
            raise ServiceError(f"{self._url} cannot be reached ({type(error).__name__}: {error})") from error

    def json(self, method: str, path: str, **parts: Any) -> Any:
        """One request, and the JSON of its answer; the arguments are those of `send`."""
        answer = self.send(method, path, **parts)
        try:
            return answer.json()
        except (JSONDecodeError, UnicodeDecodeError) as error:
            raise ServiceError(f"{self._url} does not answer as a Vultus service does: no JSON") from error


def _check_address(url: str) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ServiceError(f"{url!r} is no address of a service: {error}") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise ServiceError(f"an address of a service reads like https://faces.example:8000, got {url!r}")


def _accepted(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise error_of(answer)
    return answer


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
