"""Dashed frames for what is not sure enough to be framed: near misses, ignored regions."""

from collections.abc import Iterator, Sequence

import numpy as np

from vultus.draw.plates import place_plates
from vultus.draw.shapes import Colour, Edges, paint_box
from vultus.errors import ShapeError
from vultus.types import FloatArray, Image, checked_image

MISSED: Colour = (200, 205, 215)  # gray: not a face
_SHADOW: Colour = (0, 0, 0)
_SHADOW_OPACITY = 0.35
_DASHES = 5  # to a side


def sketch(image: Image, boxes: FloatArray, *, labels: Sequence[str], colour: Colour = MISSED) -> Image:
    """A copy of the image with a thin dashed frame around each box, and its label on a plate.

    Args:
        image: (H, W, 3) RGB; it is not changed.
        boxes: (N, 4) x1 y1 x2 y2 in pixels of this image; what lies outside is left out.
        labels: one line of text for each box, "" for none.
        colour: RGB.

    Raises:
        ShapeError: the image is none, or there are not as many labels as boxes.
    """
    canvas = checked_image(image).copy()
    if len(labels) != len(boxes):
        raise ShapeError(f"expected {len(boxes)} labels, one for each box, got {len(labels)}")
    height, width = canvas.shape[:2]
    frames = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    visible = np.flatnonzero((frames[:, 2:] > frames[:, :2]).all(axis=1)).tolist()
    line_px = float(np.clip(min(height, width) / 480, 1, 8))
    for frame in frames[visible]:
        for dash in _dashes(frame, line_px=line_px):
            _paint_dash(canvas, dash, colour=colour)
    for plate in place_plates([labels[i] for i in visible], frames[visible], size_hw=(height, width)):
        plate.paint(canvas, colour)
    return canvas


def _dashes(frame: FloatArray, *, line_px: float) -> Iterator[Edges]:
    """Along each side `_DASHES` of them, from corner to corner, each as long as the gap behind it."""
    x1, y1, x2, y2 = (float(edge) for edge in frame)
    half = line_px / 2
    step_x, step_y = (x2 - x1) / (2 * _DASHES - 1), (y2 - y1) / (2 * _DASHES - 1)
    for i in range(_DASHES):
        left, top = x1 + 2 * i * step_x, y1 + 2 * i * step_y
        yield from ((left, y - half, left + step_x, y + half) for y in (y1, y2))
        yield from ((x - half, top, x + half, top + step_y) for x in (x1, x2))


def _paint_dash(canvas: Image, dash: Edges, *, colour: Colour) -> None:
    x1, y1, x2, y2 = dash
    paint_box(canvas, (x1 - 1, y1 - 1, x2 + 1, y2 + 1), radius=0, colour=_SHADOW, opacity=_SHADOW_OPACITY)
    paint_box(canvas, dash, radius=0, colour=colour)
