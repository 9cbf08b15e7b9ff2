"""Every error that Vultus raises.

VultusError
├── InputError(ValueError)          the caller passed something unusable          HTTP 422, exit 2
│   ├── ImageError                  undecodable, missing, truncated, too large
│   ├── ShapeError                  an array of another shape or dtype
│   └── FaceCountError              no face, or several, where one was needed
├── WeightsError                    unknown, missing or damaged file              HTTP 503, exit 3
│   └── ChecksumError               the bytes are not the published ones
├── MissingExtraError(ImportError)  names the pip command to run                  HTTP 501, exit 4
├── GalleryError                    unknown or duplicate identity, other contract HTTP 409, exit 5
│   └── NotEnrolledError            nobody of this id or name, no such template   HTTP 404, exit 5
├── DeviceError                     the asked provider does not run here          HTTP 503, exit 6
├── ExportError                     ONNX and torch disagree: where and how much   HTTP 500, exit 7
├── TrainingError                   a run that cannot go on: diverged, not its folder HTTP 500, exit 8
└── ServiceError                    a Vultus service refused, or did not answer   HTTP 502, exit 9
    ├── CredentialsError            no key, an unknown or a revoked one           HTTP 401, exit 9
    ├── ScopeError                  the key is not for this                       HTTP 403, exit 9
    ├── SlowRequestError            the request's body did not arrive in time     HTTP 408, exit 9
    ├── RepeatedRequestError        an idempotency key used for something else    HTTP 409, exit 9
    ├── TooLargeError               a body over the limit                         HTTP 413, exit 9
    ├── MediaTypeError              a body of a type that is not read here        HTTP 415, exit 9
    ├── BusyError                   too many requests: come back later            HTTP 429, exit 9
    └── DeadlineError               it would have taken too long; nothing changed HTTP 503, exit 9

A message says what was wrong, what was expected, what was received and what to do.
"""

import re
from typing import ClassVar


class VultusError(Exception):
    """The root of the tree: catch this to catch everything Vultus raises on purpose.

    Attributes:
        exit_code: what the command line exits with.
        http_status: what the REST service answers with.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    @classmethod
    def code(cls) -> str:
        """The error's name on the wire: that of `FaceCountError` is "face_count_error"."""
        return re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class InputError(VultusError, ValueError):
    """The caller passed something unusable."""

    exit_code = 2
    http_status = 422


class ImageError(InputError):
    """An image that cannot be used: missing, undecodable, truncated, or over the pixel cap."""


class ShapeError(InputError):
    """An array whose shape or dtype is not the promised one."""


class FaceCountError(InputError):
    """No face, or several, where exactly one was needed.

    Attributes:
        face_count: how many faces there were.
    """

    def __init__(self, message: str, *, face_count: int) -> None:
        super().__init__(message)
        self.face_count = face_count


class WeightsError(VultusError):
    """A weight file that is unknown, missing, or cannot be used."""

    exit_code = 3
    http_status = 503


class ChecksumError(WeightsError):
    """A weight file whose bytes are not the published ones."""


class MissingExtraError(VultusError, ImportError):
    """An optional dependency is not installed; the message names the pip command."""

    exit_code = 4
    http_status = 501


class GalleryError(VultusError):
    """The gallery cannot do it: unknown or duplicate identity, another contract, a damaged row."""

    exit_code = 5
    http_status = 409


class NotEnrolledError(GalleryError):
    """Nobody in the gallery has this id or name, or the person has no such template."""

    http_status = 404


class DeviceError(VultusError):
    """The asked execution provider does not run on this machine."""

    exit_code = 6
    http_status = 503


class ExportError(VultusError):
    """An exported network disagrees with the one it was made from."""

    exit_code = 7


class TrainingError(VultusError):
    """A training run cannot go on: its loss is no number, or its folder holds another run."""

    exit_code = 8


class ServiceError(VultusError):
    """A Vultus service refused, could not be reached, or answered what cannot be understood."""

    exit_code = 9
    http_status = 502


class CredentialsError(ServiceError):
    """No API key was given, or one that is unknown or revoked."""

    http_status = 401


class ScopeError(ServiceError):
    """The API key is valid, but not for this."""

    http_status = 403


class SlowRequestError(ServiceError):
    """The body of a request did not arrive in time."""

    http_status = 408


class RepeatedRequestError(ServiceError):
    """An idempotency key that was used for another request, or whose first request still runs."""

    http_status = 409


class TooLargeError(ServiceError):
    """A request whose body, images or pixels are more than the service takes."""

    http_status = 413


class MediaTypeError(ServiceError):
    """A request whose body is of a type that is not read here."""

    http_status = 415


class BusyError(ServiceError):
    """Too many requests at once, or too many of one key.

    Attributes:
        retry_after_s: when it is worth asking again.
    """

    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineError(ServiceError):
    """The answer would have come too late; the request was given up, and nothing was changed."""

    http_status = 503
