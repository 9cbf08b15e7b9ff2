"""Vultus: detect, align, embed, match and enrol faces.

The public names. They are imported when first used, so that `import vultus` costs almost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vultus.align import crop_faces as crop_faces
    from vultus.choices import Answer as Answer
    from vultus.choices import FaceChoice as FaceChoice
    from vultus.detect import load_detector as load_detector
    from vultus.draw import annotate as annotate
    from vultus.embed import load_embedder as load_embedder
    from vultus.errors import ChecksumError as ChecksumError
    from vultus.errors import DeviceError as DeviceError
    from vultus.errors import ExportError as ExportError
    from vultus.errors import FaceCountError as FaceCountError
    from vultus.errors import GalleryError as GalleryError
    from vultus.errors import ImageError as ImageError
    from vultus.errors import InputError as InputError
    from vultus.errors import MissingExtraError as MissingExtraError
    from vultus.errors import ShapeError as ShapeError
    from vultus.errors import VultusError as VultusError
    from vultus.errors import WeightsError as WeightsError
    from vultus.gallery import SqliteGallery as SqliteGallery
    from vultus.image import load_image as load_image
    from vultus.image import save_image as save_image
    from vultus.pipeline import EnrolmentPolicy as EnrolmentPolicy
    from vultus.pipeline import FaceRecognizer as FaceRecognizer
    from vultus.pipeline import recognise as recognise
    from vultus.types import Candidate as Candidate
    from vultus.types import Detections as Detections
    from vultus.types import Identity as Identity
    from vultus.types import Match as Match
    from vultus.types import Recognition as Recognition
    from vultus.types import Template as Template
    from vultus.types import Verification as Verification

__version__ = "0.1.0"

_ROOMS = {
    "align": ["crop_faces"],
    "choices": ["Answer", "FaceChoice"],
    "detect": ["load_detector"],
    "draw": ["annotate"],
    "embed": ["load_embedder"],
    "errors": [
        "ChecksumError",
        "DeviceError",
        "ExportError",
        "FaceCountError",
        "GalleryError",
        "ImageError",
        "InputError",
        "MissingExtraError",
        "ShapeError",
        "VultusError",
        "WeightsError",
    ],
    "gallery": ["SqliteGallery"],
    "image": ["load_image", "save_image"],
    "pipeline": ["EnrolmentPolicy", "FaceRecognizer", "recognise"],
    "types": [
        "Candidate",
        "Detections",
        "Identity",
        "Match",
        "Recognition",
        "Template",
        "Verification",
    ],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_ROOM_OF)  # noqa: PLE0605  a list of literals would be a third copy of the names


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'vultus' has no attribute {name!r}")
    return getattr(import_module(f"vultus.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
