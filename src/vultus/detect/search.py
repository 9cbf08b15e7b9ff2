"""What a detector is asked for, what its network proposes, and which proposals are the faces."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.geometry.boxes import Floats, Indices, Overlap, nms


class SearchOptions(TypedDict, total=False):
    """What can be chosen about a search; see `Search`."""

    min_score: float
    max_iou: float
    max_faces: int | None
    min_face_px: float
    longest_px: int | None
    close_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for, and how.

    Attributes:
        min_score: a face is kept if its score is >= this.
        max_iou: of two boxes that overlap by more than this, only the better one is kept.
        max_faces: of more faces than this, only those with the best scores are kept; None keeps all.
        min_face_px: faces whose shorter side is smaller, in pixels of the image, are dropped. From 27 px on
            large images are reduced accordingly, unless `longest_px` is given: less work.
        longest_px: images are resized so that the longer side is this, be it larger or smaller; None leaves
            them as they are.
        close_up: whether to look a second time, at a reduced image, for faces that fill a large photo
            (`vultus.detect.close_up`).
        overlap: how the overlap of two boxes is measured; belongs to the algorithm.

    Raises:
        InputError: one of them is out of its range.
    """

    min_score: float = 0.5
    max_iou: float = 0.4
    max_faces: int | None = None
    min_face_px: float = 1
    longest_px: int | None = None
    close_up: bool = True
    overlap: Overlap = "union"

    def __post_init__(self) -> None:
        for name in ("min_score", "max_iou"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        for name in ("max_faces", "longest_px"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, or None, got {getattr(self, name)}")
        if not self.min_face_px >= 1:
            raise InputError(f"min_face_px must be at least 1, got {self.min_face_px}")


class Candidates(NamedTuple):
    """N boxes of one image that a network takes for faces.

    Attributes:
        boxes: (N, 4) corners x1 y1 x2 y2 in pixels.
        scores: (N,) in [0, 1]; in float64 even faces of which the network is all but certain have an order.
        landmarks: (N, 5, 2) x y in pixels.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Candidates":
        """Those at these positions, or under this mask."""
        return Candidates(*(part[chosen] for part in self))


def joined(parts: Sequence[Candidates]) -> Candidates:
    """All candidates in one."""
    return Candidates(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def best(candidates: Candidates, count: int) -> Candidates:
    """At most this many, those with the best scores; of equal ones the earlier."""
    if len(candidates.scores) <= count:
        return candidates
    return candidates.at(np.argsort(-candidates.scores, kind="stable")[:count])


def distinct(candidates: Candidates, search: Search) -> Indices:
    """The positions of those that reach `min_score` and overlap no better one too much, best first."""
    return suppressed(candidates, np.flatnonzero(candidates.scores >= search.min_score), search)


def suppressed(candidates: Candidates, chosen: Indices, search: Search) -> Indices:
    """Those of the chosen positions that overlap no better one of them too much, best first."""
    boxes, scores = candidates.boxes[chosen], candidates.scores[chosen]
    return chosen[nms(boxes, scores, max_iou=search.max_iou, overlap=search.overlap)]


def choose(candidates: Candidates, search: Search) -> Indices:
    """The positions of the faces, best first: distinct, large enough, and not too many."""
    kept = distinct(candidates, search)
    return kept[sizes_px(candidates.boxes[kept]) >= search.min_face_px][: search.max_faces]


def sizes_px(boxes: Floats) -> Floats:
    """(N,) the shorter side of each box."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).min(axis=1))


def logit(score: float) -> float:
    """The number whose sigmoid the score is."""
    return math.log(score / (1 - score))


def sigmoid(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits.astype(np.float64))))
