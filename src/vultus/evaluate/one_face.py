"""One embedding per image, for test sets that name one person per image.

Detection belongs to what is measured: an image in which no face is found, or none that can be aligned, has
no embedding, and every pair with it is scored as a non-match and counted, never left out. Where several
faces are found the set's convention decides whose image it is: in LFW the person is the one in the middle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.image import load_image
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import choose_face, embed_faces
from vultus.types import Detections, Embeddings, FaceChoice, Image

BATCH = 16  # images in memory at once

Progress = Callable[[int], None]  # told how many images were just finished


@dataclass(frozen=True, eq=False, slots=True)
class EmbeddedImages:
    """What the pipeline made of M images.

    Attributes:
        embeddings: (M, D) float32, unit rows; a row of zeros where there is no usable face.
        has_face: (M,) bool: a face was found and could be aligned.
        face_count: (M,) how many faces were found in each image.
    """

    embeddings: Embeddings
    has_face: NDArray[np.bool_]
    face_count: NDArray[np.intp]

    def similarities(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> NDArray[np.float64]:
        """(N,) the cosine of image `left[i]` and image `right[i]`; -1 where one of them shows no face."""
        pairs = (self.embeddings[left].astype(np.float64), self.embeddings[right].astype(np.float64))
        cosines = np.einsum("nd,nd->n", *pairs)
        return np.where(self.has_face[left] & self.has_face[right], cosines, -1.0)


def embed_images(
    paths: Sequence[Path],
    *,
    detector: Detector,
    embedder: Embedder,
    choice: FaceChoice = FaceChoice.CENTRAL,
    on_progress: Progress | None = None,
) -> EmbeddedImages:
    """Detect, align and embed one face of each image.

    Raises:
        ImageError: a file that is no image: a test set is whole, or it is not measured.
        FaceCountError: an image with several faces while `choice` is `FaceChoice.ONLY`.
        InputError: no images, or a usable face in none of them.
    """
    rows: list[Embeddings] = []
    has_face: list[bool] = []
    face_count: list[int] = []
    for start in range(0, len(paths), BATCH):
        images = [load_image(path) for path in paths[start : start + BATCH]]
        found = detector.detect_batch(images)
        face_count.extend(len(faces) for faces in found)
        chosen = [
            _chosen(image, faces, choice, path)
            for image, faces, path in zip(images, found, paths[start : start + BATCH], strict=True)
        ]
        for one in embed_faces(images, chosen, embedder=embedder):
            has_face.append(bool(one.usable.any()))
            rows.append(one.embeddings[one.usable])
        if on_progress is not None:
            on_progress(len(images))
    if not any(has_face):
        raise InputError(
            f"no usable face was found in any of {len(paths):,} images: there is nothing to measure"
        )
    return _placed(np.concatenate(rows), np.array(has_face), np.array(face_count, dtype=np.intp))


def _chosen(image: Image, faces: Detections, choice: FaceChoice, path: Path) -> Detections:
    return choose_face(image, faces, choice, source=str(path)) if len(faces) else faces


def _placed(found: Embeddings, has_face: NDArray[np.bool_], face_count: NDArray[np.intp]) -> EmbeddedImages:
    embeddings = np.zeros((len(has_face), found.shape[1]), dtype=np.float32)
    embeddings[has_face] = found
    return EmbeddedImages(embeddings, has_face, face_count)
