"""Anchors: the boxes that a detector's outputs are relative to, and the way there and back.

RetinaFace puts square anchors a on every cell of its feature maps and predicts, after SSD, with the variances
v = (0.1, 0.2) that bring all targets to about the same spread:

    x = a_x + v_0 d_x a_w      w = a_w exp(v_1 d_w)      (y and h alike)
    landmark x = a_x + v_0 d a_w

Anchors are in pixels and not clipped at the border. The public code divides everything by the image size;
that cancels out in these equations.

Liu et al.: SSD: Single shot multibox detector. ECCV 2016. https://arxiv.org/abs/1512.02325
Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.types import FloatArray

RETINAFACE_STRIDES = (8, 16, 32)
RETINAFACE_MIN_SIZES = ((16, 32), (64, 128), (256, 512))  # anchor sides in pixels, by stride
RETINAFACE_VARIANCES = (0.1, 0.2)

# Widths and heights in pixels, by stride (8, 16, 32): those of the public YOLOv5-Face weights.
YOLOV5_FACE_ANCHORS = (
    ((4, 5), (8, 10), (13, 16)),
    ((23, 29), (43, 55), (73, 105)),
    ((146, 217), (231, 300), (335, 433)),
)
# For strides 8 to 64, ours: heights in equal ratios from 5 to 500, faces being about 0.8 as wide as high.
YOLOV5_FACE_P6_ANCHORS = (
    ((4, 5), (6, 8), (9, 12)),
    ((14, 18), (21, 27), (32, 41)),
    ((49, 62), (75, 94), (114, 142)),
    ((173, 216), (262, 328), (400, 500)),
)


def square_anchors(
    size_hw: tuple[int, int],
    *,
    min_sizes: Sequence[Sequence[float]] = RETINAFACE_MIN_SIZES,
    strides: Sequence[int] = RETINAFACE_STRIDES,
) -> FloatArray:
    """RetinaFace's anchors for an image of this size, in the order of the network's outputs.

    Args:
        size_hw: height and width of the network's input, in pixels; any size.
        min_sizes: the anchors' sides in pixels, for each stride.
        strides: pixels per cell of each feature map, finest first; a map has ceil(H / stride) rows.

    Returns:
        (A, 4) float32 centre x, centre y, width, height in pixels; by stride, then row, column and side.

    Raises:
        InputError: not one group of sides for each stride.
    """
    if len(min_sizes) != len(strides):
        raise InputError(f"min_sizes must have one group per stride ({len(strides)}), got {len(min_sizes)}")
    levels = []
    for stride, sides in zip(strides, min_sizes, strict=True):
        rows, columns = (math.ceil(side / stride) for side in size_hw)
        y, x, side = np.meshgrid(
            (np.arange(rows) + 0.5) * stride, (np.arange(columns) + 0.5) * stride, sides, indexing="ij"
        )
        levels.append(np.stack([x, y, side, side], axis=-1).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def encode_boxes(
    boxes: FloatArray, anchors: FloatArray, *, variances: tuple[float, float] = RETINAFACE_VARIANCES
) -> FloatArray:
    """What the network should predict at each anchor, for the box assigned to it.

    Args:
        boxes: (A, 4) corners x1 y1 x2 y2 in pixels.
        anchors: (A, 4) centre x, centre y, width, height in pixels.
        variances: of the centres and of the sizes.

    Returns:
        (A, 4) float32 dx, dy, dw, dh.

    Raises:
        ShapeError: another shape.
        InputError: a box without area.
    """
    _check(anchors, (len(anchors), 4), "anchors")
    _check(boxes, (len(anchors), 4), "boxes")
    sizes = boxes[:, 2:] - boxes[:, :2]
    if not np.all(sizes > 0):
        row = int(np.flatnonzero(~np.all(sizes > 0, axis=1))[0])
        raise InputError(f"boxes must have x2 > x1 and y2 > y1, got {boxes[row].tolist()} in row {row}")
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    deltas = (centres - anchors[:, :2]) / (variances[0] * anchors[:, 2:])
    return np.concatenate([deltas, np.log(sizes / anchors[:, 2:]) / variances[1]], axis=1, dtype=np.float32)


def decode_boxes(
    deltas: FloatArray, anchors: FloatArray, *, variances: tuple[float, float] = RETINAFACE_VARIANCES
) -> FloatArray:
    """The boxes that the network means: the inverse of `encode_boxes`.

    Args:
        deltas: (A, 4) dx, dy, dw, dh.
        anchors: (A, 4) centre x, centre y, width, height in pixels.
        variances: of the centres and of the sizes.

    Returns:
        (A, 4) float32 corners x1 y1 x2 y2 in pixels.

    Raises:
        ShapeError: another shape.
    """
    _check(anchors, (len(anchors), 4), "anchors")
    _check(deltas, (len(anchors), 4), "deltas")
    centres = anchors[:, :2] + variances[0] * deltas[:, :2] * anchors[:, 2:]
    halves = anchors[:, 2:] * np.exp(variances[1] * deltas[:, 2:]) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1, dtype=np.float32)


def encode_landmarks(
    landmarks: FloatArray, anchors: FloatArray, *, variances: tuple[float, float] = RETINAFACE_VARIANCES
) -> FloatArray:
    """What the network should predict at each anchor, for the landmarks assigned to it.

    Args:
        landmarks: (A, 5, 2) x y in pixels.
        anchors: (A, 4) centre x, centre y, width, height in pixels.
        variances: the first applies.

    Returns:
        (A, 10) float32 dx, dy of each point in turn.

    Raises:
        ShapeError: another shape.
    """
    _check(anchors, (len(anchors), 4), "anchors")
    _check(landmarks, (len(anchors), 5, 2), "landmarks")
    deltas = (landmarks - anchors[:, None, :2]) / (variances[0] * anchors[:, None, 2:])  # (A, 5, 2)
    return deltas.reshape(-1, 10).astype(np.float32)


def decode_landmarks(
    deltas: FloatArray, anchors: FloatArray, *, variances: tuple[float, float] = RETINAFACE_VARIANCES
) -> FloatArray:
    """The landmarks that the network means: the inverse of `encode_landmarks`.

    Args:
        deltas: (A, 10) dx, dy of each point in turn.
        anchors: (A, 4) centre x, centre y, width, height in pixels.
        variances: the first applies.

    Returns:
        (A, 5, 2) float32 x y in pixels.

    Raises:
        ShapeError: another shape.
    """
    _check(anchors, (len(anchors), 4), "anchors")
    _check(deltas, (len(anchors), 10), "deltas")
    offsets = variances[0] * deltas.reshape(-1, 5, 2) * anchors[:, None, 2:]  # (A, 5, 2)
    return (anchors[:, None, :2] + offsets).astype(np.float32)


def _check(array: NDArray[Any], shape: tuple[int, ...], what: str) -> None:
    if array.shape != shape:
        raise ShapeError(f"{what} must have shape {shape}, one row per anchor, got {array.shape}")
