"""Average precision at one IoU on any annotated images, by the rules of COCO.

In each image, predictions in order of falling score take the free face they overlap most, from `min_iou` on;
a prediction falls back on its second-best face if the best one is taken. What reaches no free face but an
ignored one drops out; any number of predictions may. The rest are false positives.

Differs from COCO: the curve has every point instead of 101 (the area is exact), predictions of equal score
stand or fall together (the order of the images does not matter), an ignored region is an ordinary box.
Differs from WIDER FACE (`vultus.evaluate.detection_ap`): no +1, no thresholds, no normalised scores.

Lin et al.: Microsoft COCO: Common Objects in Context. ECCV 2014. https://arxiv.org/abs/1405.0312
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vultus.errors import ShapeError
from vultus.evaluate.precision_recall import NO_FACE, PrecisionRecall
from vultus.geometry.boxes import iou
from vultus.types import Detections, FloatArray


class AnnotatedFaces(Protocol):
    """What is known about the N faces of one image."""

    @property
    def boxes(self) -> FloatArray:
        """(N, 4) x1 y1 x2 y2 in pixels."""
        ...

    @property
    def landmarks(self) -> FloatArray:
        """(N, 5, 2) x y in pixels; NaN where not labelled."""
        ...

    @property
    def is_ignored(self) -> NDArray[np.bool_]:
        """(N,) neither a face to find nor background."""
        ...


def box_ap(
    predictions: Sequence[Detections], annotated: Sequence[AnnotatedFaces], *, min_iou: float = 0.5
) -> PrecisionRecall:
    """Precision and recall at every score, over all images together; `average_precision` is the area.

    Args:
        predictions: one entry per image; scores compare between images as they are.
        annotated: the faces of the same images.
        min_iou: from this overlap on a prediction has found a face.

    Raises:
        ShapeError: not as many predictions as images.
    """
    check_pairs(predictions, annotated)
    scores, is_hit, is_kept = [np.zeros(0)], [np.zeros(0, np.bool_)], [np.zeros(0, np.bool_)]
    for found, truth in zip(predictions, annotated, strict=True):
        face = match_boxes(found, truth, min_iou=min_iou)
        is_real = ~np.append(truth.is_ignored, True)[face]  # NO_FACE, -1, reads the appended entry
        scores.append(found.scores.astype(np.float64))
        is_hit.append(is_real)
        is_kept.append(is_real | (face == NO_FACE))
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="stable")
    return PrecisionRecall.of_predictions(
        joined[order],
        is_hit=np.concatenate(is_hit)[order],
        is_kept=np.concatenate(is_kept)[order],
        thresholds=np.unique(joined)[::-1],
        n_faces=sum(int((~truth.is_ignored).sum()) for truth in annotated),
    )


def match_boxes(found: Detections, truth: AnnotatedFaces, *, min_iou: float = 0.5) -> NDArray[np.intp]:
    """(P,) the face that each prediction has found, perhaps an ignored one, or `NO_FACE` (-1).

    Each face that is not ignored is found once at most; better scores choose first.
    """
    overlaps = iou(found.boxes, truth.boxes)  # (P, N)
    is_free = ~truth.is_ignored
    face = np.full(len(found), NO_FACE, dtype=np.intp)
    order = np.argsort(-found.scores, kind="stable")
    for i in order[(overlaps[order] >= min_iou).any(axis=1)]:
        is_near = overlaps[i] >= min_iou
        choice = is_near & is_free if (is_near & is_free).any() else is_near & truth.is_ignored
        if choice.any():
            face[i] = np.where(choice, overlaps[i], -1).argmax()
            is_free[face[i]] = False
    return face


def check_pairs(predictions: Sequence[Detections], annotated: Sequence[AnnotatedFaces]) -> None:
    """Refuse unequal numbers of images.

    Raises:
        ShapeError: not as many predictions as images.
    """
    if len(predictions) != len(annotated):
        raise ShapeError(
            f"expected predictions for {len(annotated):,} images, one entry each, got {len(predictions):,}"
        )
