"""Boxes as arrays: overlap, non-maximum suppression, and the small changes that detectors make to them.

A box is a row x1 y1 x2 y2 of *edges*, not of pixel indices: it covers x1 <= x < x2 and y1 <= y < y2, and is
x2 - x1 wide. The "+1" of older code, where x2 is the last pixel inside, appears nowhere in this file.
Edges may lie outside the image. A box with x2 <= x1 or y2 <= y1 is empty: its area is 0, it overlaps nothing.

Integers are computed in float64, floats in their own precision. float32 holds an edge to 1/128 px in the
largest image that a JPEG can be (65,535 px).
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import ShapeError

Floats: TypeAlias = NDArray[np.floating[Any]]
Indices: TypeAlias = NDArray[np.intp]
Overlap: TypeAlias = Literal["union", "minimum"]

_NMS_BLOCK = (
    32  # how many boxes are compared with all the rest at once: fewer calls, against wasted comparisons
)


def areas(boxes: ArrayLike) -> Floats:
    """The (N,) areas of (N, 4) boxes, in square pixels; 0 where a box is empty.

    Raises:
        ShapeError: not (N, 4).
    """
    return _areas(_columns(boxes))


def overlaps(boxes: ArrayLike, others: ArrayLike, *, overlap: Overlap = "union") -> Floats:
    """How much each box overlaps each other box, from 0 (apart) to 1.

    Args:
        boxes: (N, 4), x1 y1 x2 y2.
        others: (M, 4), x1 y1 x2 y2.
        overlap: what the shared area is divided by: the area of both together ("union", the usual IoU), or
            that of the smaller one ("minimum", which is 1 for a box inside another).

    Returns:
        (N, M); 0 wherever a box is empty.

    Raises:
        ShapeError: not (N, 4) and (M, 4).
    """
    shared, whole = _shared_and_whole(_columns(boxes), _columns(others), overlap=overlap)
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0))


def iou(boxes: ArrayLike, others: ArrayLike) -> Floats:
    """Intersection over union of every pair: (N, M) in [0, 1] for (N, 4) and (M, 4) boxes x1 y1 x2 y2.

    Raises:
        ShapeError: not (N, 4) and (M, 4).
    """
    return overlaps(boxes, others, overlap="union")


def nms(boxes: ArrayLike, scores: ArrayLike, *, max_iou: float, overlap: Overlap = "union") -> Indices:
    """Non-maximum suppression: keep the best box, drop all that overlap it by more than `max_iou`, repeat.

    Of equal scores the earlier box goes first, so the answer does not depend on the sorting algorithm.

    Args:
        boxes: (N, 4), x1 y1 x2 y2.
        scores: (N,).
        max_iou: a box survives beside a kept one if their overlap is <= this.
        overlap: which overlap, see `overlaps`.

    Returns:
        (K,) positions of the kept boxes, best score first.

    Raises:
        ShapeError: not (N, 4) and (N,).
    """
    columns, scores = _columns(boxes), np.asarray(scores)
    if scores.shape != columns.shape[1:]:
        raise ShapeError(f"scores must have shape {columns.shape[1:]}, one per box, got {scores.shape}")
    rest = np.argsort(-scores, kind="stable")
    kept: list[Indices] = []
    while len(rest):
        block = rest[:_NMS_BLOCK]
        shared, whole = _shared_and_whole(columns[:, block], columns[:, rest], overlap=overlap)
        is_over = shared > max_iou * whole  # (B, R)
        chosen = _greedy(is_over[:, : len(block)])
        kept.append(block[chosen])
        is_dropped = np.asarray(is_over[chosen, len(block) :].any(axis=0))
        rest = rest[len(block) :][~is_dropped]
    return np.concatenate(kept) if kept else np.zeros(0, np.intp)


def _greedy(is_over: NDArray[np.bool_]) -> list[int]:
    """Which of B boxes, best first, survive, given the (B, B) table of which pairs overlap too much."""
    is_dropped: NDArray[np.bool_] = np.zeros(len(is_over), dtype=np.bool_)
    chosen = []
    for i in range(len(is_over)):
        if not is_dropped[i]:
            chosen.append(i)
            is_dropped = is_dropped | is_over[i]
    return chosen


def squared(boxes: ArrayLike) -> Floats:
    """The (N, 4) boxes grown to squares: same centres, the longer side on both axes.

    Raises:
        ShapeError: not (N, 4).
    """
    x1, y1, x2, y2 = _columns(boxes)
    width, height = x2 - x1, y2 - y1
    side = np.maximum(width, height)
    left, top = x1 + width / 2 - side / 2, y1 + height / 2 - side / 2
    return np.stack([left, top, left + side, top + side], axis=1)


def moved(boxes: ArrayLike, offsets: ArrayLike) -> Floats:
    """The (N, 4) boxes with each edge moved by a share of the box's own width (x1, x2) or height (y1, y2).

    Args:
        boxes: (N, 4), x1 y1 x2 y2.
        offsets: (N, 4), in the order of the edges: what a network regresses.

    Raises:
        ShapeError: not (N, 4) and (N, 4).
    """
    x1, y1, x2, y2 = _columns(boxes)
    dx1, dy1, dx2, dy2 = _columns(offsets)
    width, height = x2 - x1, y2 - y1
    return np.stack([x1 + dx1 * width, y1 + dy1 * height, x2 + dx2 * width, y2 + dy2 * height], axis=1)


def clipped(boxes: ArrayLike, size_hw: tuple[int, int]) -> Floats:
    """The part of each of the (N, 4) boxes that lies in an image of this (height, width); perhaps empty.

    Raises:
        ShapeError: not (N, 4).
    """
    height, width = size_hw
    x1, y1, x2, y2 = _columns(boxes)
    xs, ys = np.clip([x1, x2], 0, width), np.clip([y1, y2], 0, height)  # (2, N)
    return np.stack([xs[0], ys[0], xs[1], ys[1]], axis=1)


def _shared_and_whole(boxes: Floats, others: Floats, *, overlap: Overlap) -> tuple[Floats, Floats]:
    """The two areas, (N, M) each, whose quotient is the overlap, of (4, N) and (4, M) columns."""
    x1, y1, x2, y2 = boxes[:, :, None]  # (N, 1) each
    u1, v1, u2, v2 = others  # (M,) each
    width = np.maximum(np.minimum(x2, u2) - np.maximum(x1, u1), 0)  # (N, M)
    height = np.maximum(np.minimum(y2, v2) - np.maximum(y1, v1), 0)
    shared = width * height
    own, their = _areas(boxes)[:, None], _areas(others)
    return shared, own + their - shared if overlap == "union" else np.minimum(own, their)


def _areas(columns: Floats) -> Floats:
    x1, y1, x2, y2 = columns
    return np.asarray(np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0))


def _columns(boxes: ArrayLike) -> Floats:
    """(4, N) x1, y1, x2, y2 of (N, 4) boxes: contiguous and floating."""
    array = np.asarray(boxes)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ShapeError(f"boxes must have shape (N, 4), x1 y1 x2 y2, got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    return np.ascontiguousarray(array.T)
