"""Finding faces: detectors in NumPy over sessions, one file each, and a list of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from vultus.defaults import DEFAULT_DETECTOR
from vultus.detect import mtcnn, retinaface
from vultus.detect.explanation import Explained, ExplainingDetector, NearMiss, Reason
from vultus.detect.mtcnn import MtcnnDetector, MtcnnOptions
from vultus.detect.retinaface import RetinaFaceDetector
from vultus.detect.rotation import RotationRetry
from vultus.detect.search import SearchOptions
from vultus.detect.yolov5_face import Yolov5FaceDetector
from vultus.errors import InputError
from vultus.runtime.onnx import CPU
from vultus.runtime.opening import Runtime

__all__ = [
    "DEFAULT_DETECTOR",
    "DEFAULT_WEIGHTS",
    "DETECTORS",
    "OPTIONS",
    "Explained",
    "ExplainingDetector",
    "MtcnnDetector",
    "NearMiss",
    "Reason",
    "RetinaFaceDetector",
    "RotationRetry",
    "Yolov5FaceDetector",
    "load_detector",
]

DetectorClass: TypeAlias = type[MtcnnDetector | RetinaFaceDetector | Yolov5FaceDetector]
DETECTORS: Final[Mapping[str, DetectorClass]] = {
    "mtcnn": MtcnnDetector,
    "retinaface": RetinaFaceDetector,
    "yolov5_face": Yolov5FaceDetector,
}
DEFAULT_WEIGHTS: Final[Mapping[str, str]] = {  # of those that come with weights
    "mtcnn": mtcnn.DEFAULT_WEIGHTS,
    "retinaface": retinaface.DEFAULT_WEIGHTS,
}
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "mtcnn": tuple(MtcnnOptions.__annotations__),
    "retinaface": tuple(SearchOptions.__annotations__),
    "yolov5_face": tuple(SearchOptions.__annotations__),
}


def load_detector(
    name: str = DEFAULT_DETECTOR,
    *,
    weights: str | Path | None = None,
    threads: int | None = None,
    providers: Sequence[str] = (CPU,),
    runtime: Runtime = "onnx",
    retry: Literal["rotate"] | None = None,
    **options: Any,
) -> ExplainingDetector:
    """A detector with its weights, ready to run.

    Args:
        name: one of `DETECTORS`.
        weights: a name in the catalogue, or a file; by default those that come with the package.
        threads: threads inside one call of a network; None leaves it to the runtime.
        providers: execution providers in order of preference.
        runtime: which library runs the networks (`vultus.runtime.choose_runtime`).
        retry: "rotate" turns images without an upright face by 90, 180 and 270 degrees, and looks again.
        options: what the detector's class takes, such as `min_face_px`; all are listed in `OPTIONS`.

    Raises:
        InputError: no detector of this name, an option that it does not have, or one out of its range.
        WeightsError: its weights are unknown, missing or damaged.
        DeviceError: a provider does not run here.
        MissingExtraError: the runtime is not installed.
    """
    if name not in DETECTORS:
        raise InputError(f"unknown detector {name!r}; there are {', '.join(DETECTORS)}")
    if retry not in {None, "rotate"}:
        raise InputError(f"retry must be 'rotate' or None, got {retry!r}")
    for option in options:
        if option not in OPTIONS[name]:
            raise InputError(f"{name} has no option {option!r}; it has {', '.join(OPTIONS[name])}")
    if weights is not None:
        options["weights"] = weights
    detector = DETECTORS[name].load(threads=threads, providers=providers, runtime=runtime, **options)
    return RotationRetry(detector) if retry else detector
