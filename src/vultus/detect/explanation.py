"""Why something is not among the faces: the near misses of a detection, each with its reason.

The network is read once more down to a lower score. What does not become a face then has one of four reasons:
it scores too low, it overlaps a better box, it is too small, or there were better faces enough. Networks see
every face several times over; what overlaps a face by `SAME_FACE_IOU` or more is that face, and is not told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import numpy as np

from vultus.detect.search import Candidates, Search, choose, distinct, sizes_px, suppressed
from vultus.errors import InputError
from vultus.geometry.boxes import Indices, iou, overlaps
from vultus.interfaces import Detector
from vultus.types import Detections, FloatArray, Image

SAME_FACE_IOU: Final = 0.6
FLOOR: Final = 0.1  # what scores less is not told


class Reason(StrEnum):
    """Why a candidate is no face."""

    BELOW_MIN_SCORE = "below_min_score"
    OVERLAPS = "overlaps"  # a better box
    TOO_SMALL = "too_small"
    TOO_MANY = "too_many"  # better faces


@dataclass(frozen=True, slots=True, eq=False)
class NearMiss:
    """Something that the network saw, and that is not among the faces.

    Attributes:
        box: (4,) corners x1 y1 x2 y2 in pixels.
        score: in [0, 1].
        reason: why it is no face.
        limit: the option that decided: `min_score`, the largest overlap, `min_face_px` or `max_faces`.
        overlap: how much it overlaps the better box, as the detector measures it; 0 for another reason.
        face: the position of that box among the faces; None if it is none either, or for another reason.
    """

    box: FloatArray
    score: float
    reason: Reason
    limit: float
    overlap: float = 0.0
    face: int | None = None

    @property
    def size_px(self) -> float:
        """The shorter side of the box."""
        return float(sizes_px(self.box[None])[0])

    @property
    def explanation(self) -> str:
        """The reason in words."""
        match self.reason:
            case Reason.BELOW_MIN_SCORE:
                return f"score {self.score:.3f} is below {self.limit:g}"
            case Reason.OVERLAPS:
                rival = "a better box" if self.face is None else f"face {self.face}"
                return f"overlaps {rival} by {self.overlap:.2f} (at most {self.limit:g})"
            case Reason.TOO_SMALL:
                return f"{self.size_px:.1f} px is smaller than {self.limit:g}"
            case Reason.TOO_MANY:
                return f"{self.limit:g} better faces are wanted at most"


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What a detector finds in an image, and what it nearly finds.

    Attributes:
        faces: as `detect` finds them.
        near_misses: best score first.
    """

    faces: Detections
    near_misses: tuple[NearMiss, ...]


class ExplainingDetector(Detector, Protocol):
    """A detector that can tell of its near misses, as all of Vultus can."""

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        """The faces of one image, and what scored at least `floor` without becoming one.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
            InputError: `floor` does not lie between 0 and 1.
        """
        ...


def checked_floor(floor: float, *, min_score: float) -> float:
    """From which score on candidates are told.

    Raises:
        InputError: it does not lie between 0 and 1.
    """
    if not 0 < floor < 1:
        raise InputError(f"floor must lie between 0 and 1, got {floor}")
    return min(floor, min_score)


def near_misses(candidates: Candidates, search: Search) -> tuple[NearMiss, ...]:
    """What is not among the faces that `choose` finds, given candidates below `min_score` too."""
    kept, faces = distinct(candidates, search), choose(candidates, search)
    hidden = _hidden(candidates, kept, search)
    weak = _weak(candidates, np.concatenate([kept, hidden]), search)
    told = [
        *(_not_wanted(candidates, i, search) for i in kept[~np.isin(kept, faces)]),
        *_overlapping(candidates, hidden, kept=kept, faces=faces, search=search),
        *(_near_miss(candidates, i, Reason.BELOW_MIN_SCORE, limit=search.min_score) for i in weak),
    ]
    return tuple(sorted(told, key=lambda miss: -miss.score))


def _hidden(candidates: Candidates, kept: Indices, search: Search) -> Indices:
    """Those that reach `min_score` and overlap a kept box too much, and yet may be another face."""
    others = np.setdiff1d(np.flatnonzero(candidates.scores >= search.min_score), kept)
    is_other_face = iou(candidates.boxes[others], candidates.boxes[kept]) < SAME_FACE_IOU  # (O, K)
    return suppressed(candidates, others[is_other_face.all(axis=1)], search)


def _weak(candidates: Candidates, told: Indices, search: Search) -> Indices:
    """Those below `min_score` that overlap too much neither what is told already nor each other."""
    weak = np.flatnonzero(candidates.scores < search.min_score)
    shares = overlaps(candidates.boxes[weak], candidates.boxes[told], overlap=search.overlap)
    return suppressed(candidates, weak[(shares <= search.max_iou).all(axis=1)], search)


def _overlapping(
    candidates: Candidates, hidden: Indices, *, kept: Indices, faces: Indices, search: Search
) -> Iterator[NearMiss]:
    shares = overlaps(candidates.boxes[hidden], candidates.boxes[kept], overlap=search.overlap)
    numbers = {position: number for number, position in enumerate(faces.tolist())}
    for i, share in zip(hidden, shares, strict=True):
        rival = int(share.argmax())
        yield _near_miss(
            candidates,
            i,
            Reason.OVERLAPS,
            limit=search.max_iou,
            overlap=float(share[rival]),
            face=numbers.get(int(kept[rival])),
        )


def _not_wanted(candidates: Candidates, i: int, search: Search) -> NearMiss:
    if sizes_px(candidates.boxes[[i]])[0] < search.min_face_px:
        return _near_miss(candidates, i, Reason.TOO_SMALL, limit=search.min_face_px)
    return _near_miss(candidates, i, Reason.TOO_MANY, limit=search.max_faces or 0)


def _near_miss(
    candidates: Candidates,
    i: int,
    reason: Reason,
    *,
    limit: float,
    overlap: float = 0.0,
    face: int | None = None,
) -> NearMiss:
    box = candidates.boxes[i].astype(np.float32)
    box.flags.writeable = False
    return NearMiss(box, float(candidates.scores[i]), reason, limit, overlap=overlap, face=face)
