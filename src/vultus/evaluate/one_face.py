"""One embedding per image, for test sets that name one person per image.

Detection belongs to what is measured: an image in which no face is found, or none that can be aligned, has
no embedding, and every pair with it is scored as a non-match and counted, never left out. Where several
faces are found the set's convention decides whose image it is: in LFW the person is the one in the middle.

Sets that are published as aligned crops leave detection out; a figure measured so says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vultus.choices import FaceChoice
from vultus.errors import InputError, ShapeError
from vultus.image import load_image
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import choose_face, embed_faces
from vultus.types import Detections, Embeddings, FloatArray, Image

BATCH = 16  # images in memory at once

Progress = Callable[[int], None]  # told how many images were just finished
Change = Callable[[int, Image], Image]  # number of the image, the image -> what is measured in its place


@dataclass(frozen=True, eq=False, slots=True)
class EmbeddedImages:
    """What the pipeline made of M images.

    Attributes:
        embeddings: (M, D) float32, unit rows; a row of zeros where there is no usable face.
        has_face: (M,) bool: a face was found and could be aligned.
        face_count: (M,) how many faces were found in each image.
        landmarks: (M, 5, 2) of the face that was embedded, x y in pixels of the image; NaN where there is
            none, and for crops, in which nothing was searched for.
    """

    embeddings: Embeddings
    has_face: NDArray[np.bool_]
    face_count: NDArray[np.intp]
    landmarks: FloatArray

    def similarities(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> NDArray[np.float64]:
        """(N,) the cosine of image `left[i]` and image `right[i]`; -1 where one of them shows no face."""
        return paired_similarities((self, left), (self, right))


def paired_similarities(
    left: tuple[EmbeddedImages, NDArray[np.intp]], right: tuple[EmbeddedImages, NDArray[np.intp]]
) -> NDArray[np.float64]:
    """(N,) the cosine of each pair; -1 where one of the two images shows no face.

    Args:
        left: images, and (N,) which of them come first.
        right: images, and (N,) which of them come second.
    """
    (first, i), (second, j) = left, right
    pairs = (first.embeddings[i].astype(np.float64), second.embeddings[j].astype(np.float64))
    cosines = np.einsum("nd,nd->n", *pairs)
    return np.where(first.has_face[i] & second.has_face[j], cosines, -1.0)


def embed_images(
    paths: Sequence[Path],
    *,
    detector: Detector,
    embedder: Embedder,
    choice: FaceChoice = FaceChoice.CENTRAL,
    change: Change | None = None,
    on_progress: Progress | None = None,
) -> EmbeddedImages:
    """Detect, align and embed one face of each image.

    Args:
        paths: the images.
        detector: finds the faces.
        embedder: cuts and embeds them.
        choice: whose image it is where several faces are found.
        change: what is done to each image before its face is searched for.
        on_progress: told how many images were just finished.

    Raises:
        ImageError: a file that is no image: a test set is whole, or it is not measured.
        FaceCountError: an image with several faces while `choice` is `FaceChoice.ONLY`.
        InputError: no images, or a usable face in none of them; after a `change` that is a finding instead.
    """
    face_count: list[int] = []

    def choose(images: Sequence[Image], start: int) -> list[Detections]:
        found = detector.detect_batch(images)
        face_count.extend(len(faces) for faces in found)
        sources = paths[start : start + len(images)]
        return [_chosen(*each, choice=choice) for each in zip(images, found, sources, strict=True)]

    rows, landmarks = _embed(
        paths, choose, embedder=embedder, change=change or _as_it_is, on_progress=on_progress
    )
    if change is None:
        _check_any(rows)
    return _embedded(rows, landmarks, np.array(face_count, dtype=np.intp))


def embed_located(
    paths: Sequence[Path],
    located: Detections,
    *,
    embedder: Embedder,
    on_progress: Progress | None = None,
) -> EmbeddedImages:
    """Align and embed the face of each image whose place was published with the set.

    Args:
        paths: M images.
        located: M faces, one in each image.
        embedder: cuts and embeds them.
        on_progress: told how many images were just finished.

    Raises:
        ImageError: a file that is no image.
        ShapeError: there are not as many faces as images.
        InputError: no images, or none of the faces can be aligned.
    """
    if len(paths) != len(located):
        raise ShapeError(f"expected a face for each of {len(paths):,} images, got {len(located):,}")

    def look_up(images: Sequence[Image], start: int) -> list[Detections]:
        return [located[start + i] for i in range(len(images))]

    rows, landmarks = _embed(paths, look_up, embedder=embedder, change=_as_it_is, on_progress=on_progress)
    _check_any(rows)
    return _embedded(rows, landmarks, np.ones(len(paths), dtype=np.intp))


def embed_crops(
    read: Callable[[int], Image], count: int, *, embedder: Embedder, on_progress: Progress | None = None
) -> EmbeddedImages:
    """Embed images that are aligned faces already: nothing is detected, so nothing can be missed.

    Args:
        read: the crop of this number, 0 .. count - 1, (S, S, 3).
        count: how many there are.
        embedder: whose crops they must be.
        on_progress: told how many images were just finished.

    Raises:
        ShapeError: a crop of another size than the embedder cuts.
        ImageError: a crop that is no image.
        InputError: no crops.
    """
    if count < 1:
        raise InputError("there are no crops: there is nothing to measure")
    rows: list[Embeddings] = []
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        rows.append(embedder.embed(_stacked([read(number) for number in numbers])))
        if on_progress is not None:
            on_progress(len(numbers))
    embeddings = np.concatenate(rows)
    return EmbeddedImages(
        embeddings=embeddings,
        has_face=np.ones(count, dtype=np.bool_),
        face_count=np.ones(count, dtype=np.intp),
        landmarks=np.full((count, 5, 2), np.nan, dtype=np.float32),
    )


def _stacked(crops: Sequence[Image]) -> Image:
    sizes = sorted({crop.shape for crop in crops})
    if len(sizes) > 1:
        raise ShapeError(f"aligned faces are of one size, got {sizes[0]} and {sizes[-1]}")
    return np.stack(crops)


_Locate = Callable[
    [Sequence[Image], int], list[Detections]
]  # images, number of the first -> at most a face each


def _embed(
    paths: Sequence[Path],
    locate: _Locate,
    *,
    embedder: Embedder,
    change: Change,
    on_progress: Progress | None,
) -> tuple[list[Embeddings], list[FloatArray]]:
    """Embedding and landmarks of each image: a row, or none."""
    rows: list[Embeddings] = []
    landmarks: list[FloatArray] = []
    for start in range(0, len(paths), BATCH):
        batch = [load_image(path) for path in paths[start : start + BATCH]]
        images = [change(start + i, image) for i, image in enumerate(batch)]
        for one in embed_faces(images, locate(images, start), embedder=embedder):
            rows.append(one.embeddings[one.usable])
            landmarks.append(one.faces.landmarks[one.usable])
        if on_progress is not None:
            on_progress(len(images))
    return rows, landmarks


def _check_any(rows: Sequence[Embeddings]) -> None:
    if not any(len(row) for row in rows):
        raise InputError(
            f"no usable face was found in any of {len(rows):,} images: there is nothing to measure"
        )


def _as_it_is(_: int, image: Image) -> Image:
    return image


def _chosen(image: Image, faces: Detections, path: Path, *, choice: FaceChoice) -> Detections:
    return choose_face(image, faces, choice, source=str(path)) if len(faces) else faces


def _embedded(
    rows: Sequence[Embeddings], landmarks: Sequence[FloatArray], face_count: NDArray[np.intp]
) -> EmbeddedImages:
    has_face = np.array([len(row) > 0 for row in rows], dtype=np.bool_)
    return EmbeddedImages(
        embeddings=_placed(np.concatenate(rows), has_face, empty=0.0),
        has_face=has_face,
        face_count=face_count,
        landmarks=_placed(np.concatenate(landmarks), has_face, empty=np.nan),
    )


def _placed(found: FloatArray, has_face: NDArray[np.bool_], *, empty: float) -> FloatArray:
    """The rows that were found, where their images stand; `empty` where there is none."""
    whole = np.full((len(has_face), *found.shape[1:]), empty, dtype=np.float32)
    whole[has_face] = found
    return whole
