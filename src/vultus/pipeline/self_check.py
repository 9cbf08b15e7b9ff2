"""Does this installation compute what ours computed? Weights, provider, detection, embedding: each is tried.

The numbers are those that the default detector gives for the reference face in `vultus.embed.self_check`,
seen on a gray canvas: another default has others. Other processors move the box by hundredths of a pixel;
damaged weights or swapped colours by whole pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from vultus.detect import DEFAULT_DETECTOR, DEFAULT_WEIGHTS, load_detector
from vultus.embed import DEFAULT_EMBEDDER, load_embedder
from vultus.embed.self_check import check_against_reference, reference_face
from vultus.errors import VultusError
from vultus.runtime import OnnxSession
from vultus.runtime.onnx import CPU
from vultus.weights import store
from vultus.weights.catalog import entry

DETECTOR_WEIGHTS: Final = DEFAULT_WEIGHTS[DEFAULT_DETECTOR]
CANVAS_PX: Final = 240
CORNER_PX: Final = 64
REFERENCE_BOX: Final = (79.57, 81.30, 160.16, 180.94)
REFERENCE_EYES: Final = ((102.75, 116.28), (139.29, 119.13))
MAX_SHIFT_PX: Final = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: what.
        is_ok: whether it is as it should be.
        detail: the finding, in words and numbers.
    """

    name: str
    is_ok: bool
    detail: str


def check_installation(*, provider: str = CPU, threads: int | None = None) -> list[Check]:
    """Try the default parts, on one execution provider.

    Never raises a `VultusError`: what fails is a finding.
    """
    checks: dict[str, Callable[[], Check]] = {
        "weights": _check_weights,
        "provider": lambda: _check_provider(provider, threads),
        "detection": lambda: _check_detection(provider, threads),
        "embedding": lambda: _check_embedding(provider, threads),
    }
    return [_tried(name, check) for name, check in checks.items()]


def _tried(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except VultusError as error:
        return Check(name, is_ok=False, detail=str(error))


def _check_weights() -> Check:
    files = [path for name in (DETECTOR_WEIGHTS, DEFAULT_EMBEDDER) for path in store.verify(name)]
    return Check("weights", is_ok=True, detail=f"{len(files)} files of the default parts have their SHA-256")


def _check_provider(provider: str, threads: int | None) -> Check:
    model = store.read(DETECTOR_WEIGHTS, entry(DETECTOR_WEIGHTS).files[-1].name)
    session = OnnxSession(model, providers=[provider], threads=threads)
    ran = ", ".join(f"{name} ran {count} nodes" for name, count in session.node_counts.items())
    return Check("provider", is_ok=session.node_counts.get(provider, 0) > 0, detail=ran)


def _check_detection(provider: str, threads: int | None) -> Check:
    canvas = np.full((CANVAS_PX, CANVAS_PX, 3), 127, np.uint8)
    face = reference_face()
    canvas[CORNER_PX : CORNER_PX + face.shape[0], CORNER_PX : CORNER_PX + face.shape[1]] = face
    faces = load_detector(providers=[provider], threads=threads).detect(canvas)
    if len(faces) != 1:
        return Check("detection", is_ok=False, detail=f"expected one face, found {len(faces)}")
    shift_px = max(
        float(np.abs(faces.boxes[0] - REFERENCE_BOX).max()),
        float(np.abs(faces.landmarks[0, :2] - np.array(REFERENCE_EYES)).max()),
    )
    detail = f"box and eyes within {shift_px:.3f} px of the reference (at most {MAX_SHIFT_PX})"
    return Check("detection", is_ok=shift_px <= MAX_SHIFT_PX, detail=detail)


def _check_embedding(provider: str, threads: int | None) -> Check:
    found = check_against_reference(load_embedder(providers=[provider], threads=threads))
    detail = f"cosine {found.agreement:.6f} to the reference (at least {found.min_agreement})"
    return Check("embedding", is_ok=found.is_passed, detail=detail)
