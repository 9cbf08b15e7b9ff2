"""What can be measured: a detector, an embedder, or the way from a photo's bytes to its embeddings.

A subject is made anew for every number of threads, since a network keeps its threads for life.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.embed.embedder import SessionEmbedder
from vultus.embed.self_check import reference_face
from vultus.errors import FaceCountError
from vultus.image import encode_png, load_image
from vultus.pipeline.recognise import embed_faces
from vultus.runtime import Runtime
from vultus.types import Crops, Image

Kind: TypeAlias = Literal["detector", "embedder", "pipeline"]
Call: TypeAlias = Callable[[int], object]
"""Works on so many photos (or faces, for an embedder) at once."""

SCENE_HW = (480, 640)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is measured.

    Attributes:
        kind: which part, or the whole.
        detector: one of `vultus.detect.DETECTORS`.
        embedder: one of `vultus.embed.embedder_names()`.
        runtime: which library runs the networks.
        options: of the detector, such as `longest_px` or `weights`.
    """

    kind: Kind
    detector: str = DEFAULT_DETECTOR
    embedder: str = DEFAULT_EMBEDDER
    runtime: Runtime = "onnx"
    options: dict[str, Any] = field(default_factory=dict)


def photos_of(paths: Sequence[Path]) -> list[bytes]:
    """The bytes of the photos; without any, those of a made one with six faces."""
    return [path.read_bytes() for path in paths] or [encode_png(scene())]


def scene() -> Image:
    """(480, 640, 3) gray, with the reference face in six places."""
    face = reference_face()
    image = np.full((*SCENE_HW, 3), 127, np.uint8)
    for top in (80, 280):
        for left in (64, 264, 464):
            image[top : top + len(face), left : left + len(face)] = face
    return image


def prepare(parts: Parts, photos: Sequence[bytes], *, threads: int | None) -> Call:
    """The part, loaded, and ready to work on the photos over and over.

    Raises:
        FaceCountError: an embedder is to be measured, and no photo shows a face.
        VultusError: a part cannot be loaded, or a photo cannot be read.
    """
    if parts.kind == "embedder":
        return _embedding(parts, photos, threads=threads)
    detector = load_detector(parts.detector, threads=threads, runtime=parts.runtime, **parts.options)
    if parts.kind == "detector":
        images = [load_image(photo) for photo in photos]
        return lambda count: detector.detect_batch(_first(images, count))
    embedder = load_embedder(parts.embedder, threads=threads, runtime=parts.runtime)

    def whole(count: int) -> object:
        images = [load_image(photo) for photo in _first(photos, count)]
        return embed_faces(images, detector.detect_batch(images), embedder=embedder)

    return whole


def _embedding(parts: Parts, photos: Sequence[bytes], *, threads: int | None) -> Call:
    crops = crops_of(parts, photos)
    loaded = load_embedder(parts.embedder, threads=threads, runtime=parts.runtime)

    @cache
    def with_batch(count: int) -> SessionEmbedder:
        return SessionEmbedder(loaded.weights, loaded.session, batch=count)

    return lambda count: with_batch(count).embed(np.stack(_first(list(crops), count)))


def crops_of(parts: Parts, photos: Sequence[bytes]) -> Crops:
    """The faces that the detector finds in the photos, cut as the embedder wants them.

    Raises:
        FaceCountError: there is none.
    """
    detector, embedder = load_detector(parts.detector, **parts.options), load_embedder(parts.embedder)
    crops = []
    for image in map(load_image, photos):
        faces = detector.detect(image)
        crops += list(embedder.align(image, faces[embedder.alignable(faces)]))
    if not crops:
        raise FaceCountError(
            f"no face found in the {len(photos)} photos: an embedder cannot be measured without", face_count=0
        )
    return np.stack(crops)


def _first(items: Sequence[Any], count: int) -> list[Any]:
    """So many of them, over and over."""
    return list(islice(cycle(items), count))
