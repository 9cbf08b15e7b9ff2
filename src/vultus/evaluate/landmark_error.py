"""How far landmarks are from where they were labelled: the normalised mean error.

    NME of a face = mean over its labelled points of |found - labelled| / size of the face

The size is sqrt(width * height) of the labelled box ("box"): it does not shrink when a face turns aside, as
the distance between the labelled eyes does ("eyes", the older convention). The two do not compare.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import ShapeError
from vultus.evaluate.box_ap import AnnotatedFaces, check_pairs, match_boxes
from vultus.evaluate.precision_recall import NO_FACE
from vultus.types import Detections

FaceSize: TypeAlias = Literal["box", "eyes"]


class LandmarkError(NamedTuple):
    """The landmarks of the faces that a detector has found.

    Attributes:
        nme: mean over the found faces; NaN if none was found, or if the predictions have no landmarks.
        n_found: how many faces with labels were found.
        n_labelled: how many there are. Faces that were not found have no error: compare at similar recall.
    """

    nme: float
    n_found: int
    n_labelled: int


def landmark_errors(landmarks: ArrayLike, labelled: ArrayLike, *, size_px: ArrayLike) -> NDArray[np.float64]:
    """The (N,) errors of N faces, each as a share of its size; NaN for a face without a labelled point.

    Args:
        landmarks: (N, K, 2) x y in pixels.
        labelled: (N, K, 2) likewise; NaN where a point is not labelled.
        size_px: (N,) from `face_sizes`.

    Raises:
        ShapeError: the shapes disagree.
    """
    found, truth = np.asarray(landmarks, np.float64), np.asarray(labelled, np.float64)
    sizes = np.asarray(size_px, np.float64)
    if found.shape != truth.shape or found.ndim != 3 or found.shape[2] != 2 or sizes.shape != found.shape[:1]:
        raise ShapeError(
            f"expected landmarks (N, K, 2), labels of the same shape and sizes (N,), "
            f"got {found.shape}, {truth.shape} and {sizes.shape}"
        )
    is_labelled = ~np.isnan(truth).any(axis=2)  # (N, K)
    distances = np.where(is_labelled, np.linalg.norm(found - truth, axis=2), 0.0)
    count = is_labelled.sum(axis=1)
    means = np.divide(distances.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
    return np.asarray(means / sizes)


def face_sizes(boxes: ArrayLike, landmarks: ArrayLike, *, size: FaceSize = "box") -> NDArray[np.float64]:
    """(N,) what the errors of N faces are divided by, in pixels.

    Args:
        boxes: (N, 4) labelled, x1 y1 x2 y2.
        landmarks: (N, 5, 2) labelled, the two eyes first.
        size: which; "eyes" is NaN for a face without two labelled eyes.
    """
    if size == "eyes":
        points = np.asarray(landmarks, np.float64)
        return np.asarray(np.linalg.norm(points[:, 1] - points[:, 0], axis=1))
    corners = np.asarray(boxes, np.float64)
    return np.asarray(np.sqrt(np.prod(corners[:, 2:] - corners[:, :2], axis=1)))


def landmark_nme(
    predictions: Sequence[Detections],
    annotated: Sequence[AnnotatedFaces],
    *,
    min_iou: float = 0.5,
    size: FaceSize = "box",
) -> LandmarkError:
    """The error over all faces that have labelled landmarks, are not ignored, and were found.

    Args:
        predictions: one entry per image.
        annotated: the faces of the same images.
        min_iou: from this overlap on a prediction has found a face, see `match_boxes`.
        size: what an error is divided by.

    Raises:
        ShapeError: not as many predictions as images.
    """
    check_pairs(predictions, annotated)
    errors, n_labelled = [np.zeros(0)], 0
    for found, truth in zip(predictions, annotated, strict=True):
        sizes = face_sizes(truth.boxes, truth.landmarks, size=size)
        is_labelled = ~np.isnan(truth.landmarks).all(axis=(1, 2)) & ~truth.is_ignored & ~np.isnan(sizes)
        n_labelled += int(is_labelled.sum())
        face = match_boxes(found, truth, min_iou=min_iou)
        is_found = np.append(is_labelled, False)[face] & (face != NO_FACE)
        errors.append(
            landmark_errors(
                found.landmarks[is_found], truth.landmarks[face[is_found]], size_px=sizes[face[is_found]]
            )
        )
    joined = np.concatenate(errors)
    nme = float(joined.mean()) if len(joined) else float("nan")
    return LandmarkError(nme, n_found=len(joined), n_labelled=n_labelled)
