"""What RetinaFace's anchors should answer: which of them hold a face, and where its box and landmarks are.

With IoU(a, f) of every anchor a and every face f that is not ignored:

    1   max_f IoU(a, f) >= positive_iou (0.35): a face, the f of the maximum
    1   a is the anchor with the largest IoU(., f) of some f, and that is >= forced_iou (0.2): the face f
    -1  max_f IoU(a, f) >= negative_iou (0.35 too, so that by default none is in between)
    -1  half of a or more lies in an ignored box, or their IoU is >= forced_iou: it might have been positive
    0   else: background

The upper rule goes first, but a forced anchor belongs to the face that forced it, even if another face
overlaps it more: otherwise that one would have none. If several faces force the same anchor, the largest IoU
wins. These are the classic implementation's rules, except that there the last of several faces wins.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641
Liu et al.: SSD: Single shot multibox detector. ECCV 2016. https://arxiv.org/abs/1512.02325
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.geometry.anchors import RETINAFACE_VARIANCES, encode_boxes, encode_landmarks
from vultus.geometry.boxes import Floats, Overlap, areas, overlaps
from vultus.training.data.sample import Sample
from vultus.training.data.yolov5_face_targets import assign_cells
from vultus.training.losses.multibox import BACKGROUND, FACE, IGNORED, AnchorTargets
from vultus.types import FloatArray

__all__ = ["MatchedAnchors", "assign_cells", "match_anchors", "stack_anchor_targets"]

_PORTION = 16
HIDDEN_SHARE = 0.5  # of an anchor's area in an ignored box, from which on it is neither face nor background


class MatchedAnchors(NamedTuple):
    """What the A anchors of one image should be answered with: `AnchorTargets` of one image, in NumPy.

    Attributes:
        classes: (A,) int64: 1 face, 0 background, -1 neither.
        box_deltas: (A, 4) float32, from `encode_boxes`; 0 at anchors that are not faces.
        landmark_deltas: (A, 10) float32, from `encode_landmarks`; 0 at anchors without.
        has_landmarks: (A,) bool, whether all five landmarks of the anchor's face are known.
    """

    classes: NDArray[np.int64]
    box_deltas: FloatArray
    landmark_deltas: FloatArray
    has_landmarks: NDArray[np.bool_]


def match_anchors(
    sample: Sample,
    anchors: FloatArray,
    *,
    positive_iou: float = 0.35,
    negative_iou: float = 0.35,
    forced_iou: float = 0.2,
    variances: tuple[float, float] = RETINAFACE_VARIANCES,
) -> MatchedAnchors:
    """Assign faces to anchors, as in the module's table, and encode them.

    Args:
        sample: the faces of one image.
        anchors: (A, 4) centre x, centre y, width, height in pixels.
        positive_iou: an anchor is a face from here on.
        negative_iou: an anchor is background below this.
        forced_iou: the best anchor of a face is a face from here on.
        variances: of the encoding.

    Raises:
        InputError: the limits are not 0 < forced_iou <= positive_iou and negative_iou <= positive_iou.
    """
    if not (0 < forced_iou <= positive_iou and negative_iou <= positive_iou):
        raise InputError(
            "expected 0 < forced_iou <= positive_iou and negative_iou <= positive_iou, "
            f"got {forced_iou}, {positive_iou} and {negative_iou}"
        )
    classes = np.full(len(anchors), BACKGROUND, np.int64)
    face_index = np.zeros(len(anchors), np.intp)
    corners = np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], axis=1
    )
    faces = np.flatnonzero(~sample.is_ignored)
    if len(faces):
        overlap = _in_portions(sample.boxes[faces], corners)  # (N, A)
        best = overlap.max(axis=0)
        classes[best >= negative_iou] = IGNORED
        matched = np.flatnonzero(best >= positive_iou)
        forcing, forced = _forced(overlap, forced_iou=forced_iou)
        face_index[matched] = faces[overlap[:, matched].argmax(axis=0)]
        face_index[forced] = faces[forcing]
        classes[matched] = classes[forced] = FACE
    is_hidden = _is_hidden(sample.boxes[sample.is_ignored], corners, forced_iou=forced_iou)
    classes[is_hidden & (classes == BACKGROUND)] = IGNORED
    return _encoded(sample, anchors, classes=classes, face_index=face_index, variances=variances)


def stack_anchor_targets(matched: Sequence[MatchedAnchors]) -> AnchorTargets:
    """The targets of a batch of images that have the same anchors.

    Raises:
        InputError: no image.
    """
    if not matched:
        raise InputError("a batch must have at least one image, got none")
    return AnchorTargets(*(torch.from_numpy(np.stack(field)) for field in zip(*matched, strict=True)))


def _in_portions(boxes: FloatArray, corners: FloatArray, *, overlap: Overlap = "union") -> Floats:
    """(N, A) overlaps of (N, 4) and (A, 4) boxes, a few rows at a time, which the processor's cache holds."""
    starts = range(0, len(boxes), _PORTION)
    return np.concatenate(
        [overlaps(boxes[start : start + _PORTION], corners, overlap=overlap) for start in starts]
    )


def _forced(overlap: NDArray[np.floating], *, forced_iou: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Faces and their best anchors, by rising IoU: of several faces at one anchor, the last is to win.

    Args:
        overlap: (N, A) IoU.
        forced_iou: faces whose best anchor is below this force none.
    """
    anchors = overlap.argmax(axis=1)
    highest = overlap[np.arange(len(overlap)), anchors]
    faces = np.argsort(highest, kind="stable")
    faces = faces[highest[faces] >= forced_iou]
    return faces, anchors[faces]


def _is_hidden(ignored: FloatArray, corners: FloatArray, *, forced_iou: float) -> NDArray[np.bool_]:
    """(A,) whether an anchor lies mostly in one of the (M, 4) ignored boxes, or about covers it."""
    if not len(ignored):
        return np.zeros(len(corners), np.bool_)
    smaller = np.minimum(areas(ignored)[:, None], areas(corners))  # (M, A)
    shared = _in_portions(ignored, corners, overlap="minimum") * smaller
    union = areas(ignored)[:, None] + areas(corners) - shared
    return np.asarray(
        ((shared >= HIDDEN_SHARE * areas(corners)) | (shared >= forced_iou * union)).any(axis=0)
    )


def _encoded(
    sample: Sample,
    anchors: FloatArray,
    *,
    classes: NDArray[np.int64],
    face_index: NDArray[np.intp],
    variances: tuple[float, float],
) -> MatchedAnchors:
    """The targets, given the (A,) class and face of each anchor."""
    count = len(anchors)
    box_deltas, landmark_deltas = np.zeros((count, 4), np.float32), np.zeros((count, 10), np.float32)
    is_face = classes == FACE
    is_labelled = np.asarray(np.isfinite(sample.landmarks).all(axis=(1, 2)))  # (N,)
    has_landmarks = is_face.copy()
    has_landmarks[is_face] = is_labelled[face_index[is_face]]
    box_deltas[is_face] = encode_boxes(
        sample.boxes[face_index[is_face]], anchors[is_face], variances=variances
    )
    landmark_deltas[has_landmarks] = encode_landmarks(
        sample.landmarks[face_index[has_landmarks]], anchors[has_landmarks], variances=variances
    )
    return MatchedAnchors(classes, box_deltas, landmark_deltas, has_landmarks)
