"""Which networks run on one photo (or one face), how often, and on inputs of which shapes.

The detector itself is asked: it works on the photo with sessions that note what they are given.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from vultus.benchmark.subjects import Parts
from vultus.benchmark.work import NO_WORK, Work, work_of
from vultus.detect import DEFAULT_WEIGHTS, MtcnnDetector, RetinaFaceDetector, Yolov5FaceDetector
from vultus.detect.loading import open_weights
from vultus.detect.mtcnn import MtcnnSessions, read_models
from vultus.embed.loading import read_embedder
from vultus.errors import WeightsError
from vultus.image import load_image
from vultus.interfaces import Detector, Session
from vultus.runtime import OnnxSession
from vultus.runtime.onnx import CPU
from vultus.types import FloatArray
from vultus.weights import store
from vultus.weights.catalog import find
from vultus.weights.description import RetinaFaceDecoding, Yolov5FaceDecoding

_FAMILIES: Final = {
    "retinaface": (RetinaFaceDetector, RetinaFaceDecoding),
    "yolov5_face": (Yolov5FaceDetector, Yolov5FaceDecoding),
}


class NotingSession:
    """A session that notes the shapes of its inputs.

    Attributes:
        shapes: one per run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        """What the session answers."""
        self.shapes.append(batch.shape)
        return self._session.run(batch)


def work_of_one(parts: Parts, photo: bytes) -> Work:
    """The work that the networks do for one photo, or for one face where an embedder is measured.

    Raises:
        WeightsError: weights are missing, or their graph's shapes cannot be told.
    """
    if parts.kind == "embedder":
        return embedding_work(parts)
    work, face_count = detection_work(parts, photo)
    if parts.kind == "pipeline":
        for _ in range(face_count):
            work += embedding_work(parts)
    return work


def embedding_work(parts: Parts) -> Work:
    """Of one face."""
    weights, model = read_embedder(parts.embedder)
    size_hw = weights.preprocessing.size_hw
    if size_hw is None:
        raise WeightsError(f"no input size is stated for {weights.name!r}")
    return work_of(model, (1, 3, *size_hw))


def detection_work(parts: Parts, photo: bytes) -> tuple[Work, int]:
    """Of one photo, and how many faces it shows."""
    options = dict(parts.options)
    weights = options.pop("weights", None) or DEFAULT_WEIGHTS.get(parts.detector, "")
    detector: Detector
    if parts.detector == "mtcnn":
        models = read_models(weights)
        sessions = [NotingSession(OnnxSession(model, threads=1)) for model in models]
        detector = MtcnnDetector(MtcnnSessions(*sessions), **options)
    else:
        models = [_model(weights)]
        detector, sessions = _single_shot(parts.detector, weights, options)
    faces = detector.detect(load_image(photo))
    work = NO_WORK
    for model, session in zip(models, sessions, strict=True):
        for shape in session.shapes:
            work += work_of(model, shape)
    return work, len(faces)


def _single_shot(
    name: str, weights: str | Path, options: dict[str, Any]
) -> tuple[Detector, list[NotingSession]]:
    detector, family = _FAMILIES[name]
    opened = open_weights(weights, family, threads=None, providers=(CPU,))
    session = NotingSession(opened.session)
    made: Detector = detector(
        session, preprocessing=opened.preprocessing, decoding=opened.decoding, **options
    )
    return made, [session]


def _model(weights: str | Path) -> bytes:
    known = find(weights)
    return store.read(known) if known else Path(weights).read_bytes()
