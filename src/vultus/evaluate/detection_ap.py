"""Average precision on WIDER FACE, by the official protocol.

1. Scores are normalised over the whole set: (s - least) / (greatest - least).
2. In each image, predictions in order of falling score take the face they overlap most. From an IoU of 0.5 on
   that is a match, also if the face was taken before: a prediction never falls back on its second-best face.
   Boxes are measured with the +1 convention: x y w h covers the pixels x to x + w, and is w + 1 wide.
3. At each difficulty some faces count and the others are ignored. A prediction that matched an ignored face
   drops out. Of the rest, the first one to match a face is a hit; a repeat is a false positive, like a
   prediction that matched nothing. Faces of images without predictions count as missed.
4. At the 1,000 thresholds 0.999, 0.998, ... 0 over the normalised scores, summed over all images:
   precision = hits / predictions that did not drop out, recall = hits / faces that count.
5. AP = the area under the curve, once each precision is raised to the greatest at the same or a higher recall
   (as in Pascal VOC from 2010 on), from recall 0 to the highest recall reached.

Which prediction matches which face does not depend on the difficulty, so it is found once; and as a threshold
takes a prefix of the predictions in score order, each curve is two cumulative sums.

The official code divides 0 by 0 where all scores are equal; here they are all 1 then, one point of the curve.

Yang, Luo, Loy, Tang: WIDER FACE: A Face Detection Benchmark. CVPR 2016. https://arxiv.org/abs/1511.06523
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.precision_recall import NO_FACE, PrecisionRecall
from vultus.evaluate.widerface import DIFFICULTIES, WiderTruth
from vultus.geometry.boxes import iou
from vultus.types import Detections

MIN_IOU: Final = 0.5
THRESHOLDS: Final = 1 - np.arange(1, 1001) / 1000  # 0.999, 0.998, ... 0, of normalised scores
MAX_NAMED: Final = 3  # of many missing images this many are named


@dataclass(frozen=True, eq=False, slots=True)
class WiderMatches:
    """Which prediction found which face. Predictions are in order of falling score over the whole set.

    Attributes:
        truth: the faces of all images.
        is_judged: (I,) bool, whether each image of the truth is part of the measurement.
        scores: (P,) normalised, 1 to 0.
        boxes: (P, 4) float64, x1 y1 x2 y2.
        image: (P,) the image of each prediction, a position in `truth.images`.
        face: (P,) the face it matched, a position in `truth.boxes`, or `NO_FACE`.
        is_first: (P,) bool, it matched a face that no better prediction had matched.
    """

    truth: WiderTruth
    is_judged: NDArray[np.bool_]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    image: NDArray[np.intp]
    face: NDArray[np.intp]
    is_first: NDArray[np.bool_]

    @property
    def is_judged_face(self) -> NDArray[np.bool_]:
        """(F,) whether each face is in a judged image."""
        return np.repeat(self.is_judged, np.diff(self.truth.first_face))

    def outcomes(
        self, counts: NDArray[np.bool_], *, is_background: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(P,) whether each prediction is a hit, and (P,) whether it is kept, as a hit or a false positive.

        Args:
            counts: (F,) the faces that count; the others are ignored.
            is_background: (P,) where a prediction without a face is a false positive; by default everywhere.
        """
        has_face = self.face != NO_FACE
        is_found = np.append(counts, False)[self.face]  # NO_FACE, -1, reads the appended entry
        is_false = ~has_face if is_background is None else ~has_face & is_background
        return is_found & self.is_first, is_found | is_false

    def curve(
        self, counts: NDArray[np.bool_], *, is_background: NDArray[np.bool_] | None = None
    ) -> PrecisionRecall:
        """Precision and recall over the 1,000 thresholds; arguments as for `outcomes`."""
        is_hit, is_kept = self.outcomes(counts, is_background=is_background)
        n_faces = int((counts & self.is_judged_face).sum())
        return PrecisionRecall.of_predictions(
            self.scores, is_hit=is_hit, is_kept=is_kept, thresholds=THRESHOLDS, n_faces=n_faces
        )


@dataclass(frozen=True, eq=False, slots=True)
class WiderResult:
    """Average precision on WIDER FACE.

    Attributes:
        easy: average precision, 0 to 1; NaN where no face counts.
        medium: likewise.
        hard: likewise.
        curves: precision and recall at the 1,000 thresholds, by difficulty.
        n_images: how many images were judged.
        n_images_of_set: how many the ground truth has; more than `n_images` if only a subset was judged.
    """

    easy: float
    medium: float
    hard: float
    curves: Mapping[str, PrecisionRecall]
    n_images: int
    n_images_of_set: int

    @property
    def is_subset(self) -> bool:
        """Whether images were left out: say so beside the figures, they are not those of the full set."""
        return self.n_images < self.n_images_of_set


def widerface_ap(
    predictions: Mapping[str, Detections], truth: WiderTruth, *, only_present: bool = False
) -> WiderResult:
    """Average precision at the three difficulties.

    Args:
        predictions: by image, such as "0--Parade/0_Parade_marchingband_1_465.jpg"; an image in which nothing
            was found has an empty `Detections`. The protocol wants scores from 0.02 on, 750 boxes at least.
        truth: of the validation set, from `read_widerface_truth`.
        only_present: judge the images that have predictions only. The result says that it is a subset.

    Raises:
        InputError: an image has no entry (unless `only_present`) or is not in the ground truth, or a score is
            not finite.
    """
    return ap_of_matches(match_widerface(predictions, truth, only_present=only_present))


def ap_of_matches(matches: WiderMatches) -> WiderResult:
    """Average precision at the three difficulties, of predictions that are matched already."""
    curves = {name: matches.curve(matches.truth.counts[name]) for name in DIFFICULTIES}
    return WiderResult(
        **{name: curve.average_precision for name, curve in curves.items()},
        curves=curves,
        n_images=int(matches.is_judged.sum()),
        n_images_of_set=len(matches.truth.images),
    )


def match_widerface(
    predictions: Mapping[str, Detections], truth: WiderTruth, *, only_present: bool = False
) -> WiderMatches:
    """Find the face of each prediction; arguments and errors are those of `widerface_ap`."""
    _check_images(predictions, truth, only_present=only_present)
    judged = [i for i, name in enumerate(truth.images) if name in predictions]
    found = [predictions[truth.images[i]] for i in judged]
    boxes = [faces.boxes.astype(np.float64) for faces in found]
    matched = [
        _match(rows, truth.boxes[truth.faces_of(i)], first_face=int(truth.first_face[i]))
        for i, rows in zip(judged, boxes, strict=True)
    ]
    scores = _normalised(np.concatenate([np.zeros(0), *(faces.scores for faces in found)]))
    face = np.concatenate([np.zeros(0, np.intp), *matched])
    order = np.argsort(-scores, kind="stable")  # of equal scores in an image the earlier stays first
    return WiderMatches(
        truth=truth,
        is_judged=np.isin(np.arange(len(truth.images)), judged),
        scores=scores[order],
        boxes=np.concatenate([np.zeros((0, 4)), *boxes])[order],
        image=np.repeat(np.array(judged, dtype=np.intp), [len(faces) for faces in found])[order],
        face=face[order],
        is_first=_are_first(face[order]),
    )


def _check_images(predictions: Mapping[str, Detections], truth: WiderTruth, *, only_present: bool) -> None:
    known = set(truth.images)
    unknown = [name for name in predictions if name not in known]
    if unknown:
        raise InputError(
            f"{len(unknown):,} images are not in the ground truth: {_some(unknown)}; "
            f"expected names such as {truth.images[0]}"
        )
    missing = [name for name in truth.images if name not in predictions]
    if missing and not only_present:
        raise InputError(
            f"{len(missing):,} of {len(truth.images):,} images have no predictions: {_some(missing)}. "
            "An image in which nothing was found needs an empty entry; "
            "to judge a subset, ask for the present images only"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")


def _match(boxes: NDArray[np.float64], faces: NDArray[np.float64], *, first_face: int) -> NDArray[np.intp]:
    """(P,) the position in the set of the face that each of an image's predictions matches, or `NO_FACE`."""
    if not len(faces):
        return np.full(len(boxes), NO_FACE, dtype=np.intp)
    last_pixel = np.array([0, 0, 1, 1])  # the +1 convention: x2 and y2 are inside
    overlaps = iou(boxes + last_pixel, faces + last_pixel)  # (P, N)
    best = overlaps.argmax(axis=1)
    is_match = overlaps[np.arange(len(boxes)), best] >= MIN_IOU
    return np.where(is_match, first_face + best, NO_FACE)


def _are_first(face: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(P,) whether no earlier prediction matched the same face."""
    is_first = np.zeros(len(face), dtype=np.bool_)
    is_first[np.unique(face, return_index=True)[1]] = True
    return np.asarray(is_first & (face != NO_FACE))


def _normalised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(scores).all():
        raise InputError(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")
    if not len(scores) or np.ptp(scores) == 0:
        return np.ones_like(scores)
    return np.asarray((scores - scores.min()) / np.ptp(scores))
