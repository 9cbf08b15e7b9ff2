"""Finding faces: detectors in NumPy over sessions, one file each, and a list of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vultus.detect.mtcnn import MtcnnDetector
from vultus.detect.retinaface import RetinaFaceDetector
from vultus.errors import InputError
from vultus.interfaces import Detector
from vultus.runtime.onnx import CPU

__all__ = ["DETECTORS", "MtcnnDetector", "RetinaFaceDetector", "load_detector"]

DETECTORS: Final[Mapping[str, type[MtcnnDetector]]] = {"mtcnn": MtcnnDetector}


def load_detector(
    name: str = "mtcnn", *, threads: int | None = None, providers: Sequence[str] = (CPU,), **options: Any
) -> Detector:
    """A detector with its public weights, ready to run.

    Args:
        name: one of `DETECTORS`.
        threads: threads inside one call of a network; None leaves it to the runtime.
        providers: execution providers in order of preference.
        options: what the detector's class takes, such as `min_face_px`.

    Raises:
        InputError: no detector of this name, or an option out of its range.
        WeightsError: its weights are missing or damaged.
        DeviceError: a provider does not run here.
    """
    if name not in DETECTORS:
        raise InputError(f"unknown detector {name!r}; there are {', '.join(DETECTORS)}")
    return DETECTORS[name].load(threads=threads, providers=providers, **options)
