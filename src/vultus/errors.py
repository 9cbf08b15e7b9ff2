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
├── DeviceError                     the asked provider does not run here          HTTP 503, exit 6
├── ExportError                     ONNX and torch disagree: where and how much   HTTP 500, exit 7
└── TrainingError                   a run that cannot go on: diverged, not its folder HTTP 500, exit 8

A message says what was wrong, what was expected, what was received and what to do.
"""

from typing import ClassVar


class VultusError(Exception):
    """The root of the tree: catch this to catch everything Vultus raises on purpose.

    Attributes:
        exit_code: what the command line exits with.
        http_status: what the REST service answers with.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


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
