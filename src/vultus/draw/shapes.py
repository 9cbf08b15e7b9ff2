"""Two brushes that leave smooth edges wherever they paint: rounded boxes (so circles too), and text masks."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vultus.types import Image

Colour: TypeAlias = tuple[int, int, int]  # RGB, 0..255
Edges: TypeAlias = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels, may lie outside of the image


def paint_box(
    canvas: Image,
    edges: Edges,
    *,
    radius: float,
    colour: Colour,
    stroke: float | None = None,
    opacity: float = 1.0,
) -> None:
    """Paint a box with rounded corners into the canvas: filled, or as a line of `stroke` px along its edges.

    A box whose radius is half of its side is a circle. How much of a pixel is covered follows from its signed
    distance to the outline, so that the edges are smooth without drawing larger and scaling down.
    """
    x1, y1, x2, y2 = edges
    reach = 1.0 + (stroke or 0.0) / 2
    rows = slice(max(math.floor(y1 - reach), 0), max(math.ceil(y2 + reach), 0))
    columns = slice(max(math.floor(x1 - reach), 0), max(math.ceil(x2 + reach), 0))
    region = canvas[rows, columns]
    x = np.arange(columns.start, columns.start + region.shape[1], dtype=np.float32) + 0.5  # pixel centres
    y = np.arange(rows.start, rows.start + region.shape[0], dtype=np.float32)[:, np.newaxis] + 0.5
    beyond_x = np.abs(x - (x1 + x2) / 2) - ((x2 - x1) / 2 - radius)
    beyond_y = np.abs(y - (y1 + y2) / 2) - ((y2 - y1) / 2 - radius)
    distance = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))  # (h, w) px, negative inside
    distance = distance + np.minimum(np.maximum(beyond_x, beyond_y), 0) - radius
    if stroke is not None:
        distance = np.abs(distance) - stroke / 2
    coverage = np.clip(0.5 - distance, 0, 1) * opacity
    _blend(region, coverage, colour)


def paint_mask(canvas: Image, mask: NDArray[np.uint8], *, left: int, top: int, colour: Colour) -> None:
    """Paint colour where the (h, w) mask is 255, and less where it is less; what lies outside is cut off."""
    height, width = mask.shape
    region = canvas[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    inside = mask[max(-top, 0) :, max(-left, 0) :][: region.shape[0], : region.shape[1]]
    _blend(region, inside / 255, colour)


def _blend(region: Image, coverage: NDArray[np.floating[Any]], colour: Colour) -> None:
    paint = np.asarray(colour, dtype=np.float32)
    mixed = region + (paint - region) * coverage[:, :, np.newaxis]
    region[...] = np.rint(mixed)
