"""Windows to learn from: around faces, anywhere else, and cut out by the very code that detects.

`squares_near` and `squares_anywhere` draw squares. R-Net and O-Net see them as they are; P-Net only sees the
cells of its grid, so for P-Net each goes to the nearest cell of a level where a window is as large.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vultus.detect.area_means import AreaMeans
from vultus.detect.mtcnn_stages import FIRST_PIXEL, WINDOW_PX, crop_edges, level_size
from vultus.geometry.boxes import Floats, squared
from vultus.training.data.mtcnn_targets import Cells, Seen
from vultus.types import FloatArray

UInt8s: TypeAlias = NDArray[np.uint8]


def squares_near(
    faces: Floats,
    chance: np.random.Generator,
    *,
    per_face: int,
    max_shift: float,
    max_zoom: float,
) -> Floats:
    """Squares around faces, moved and resized at random.

    Args:
        faces: (M, 4) edges of the boxes.
        chance: what is drawn from.
        per_face: how many squares for each.
        max_shift: how far a centre is moved along an axis at most, in sides of the face's square.
        max_zoom: sides are multiplied by a factor between 1 / `max_zoom` and this, uniform in its logarithm.

    Returns:
        (M * per_face, 4) first and last pixel, counted from 1: those of one face in a row.
    """
    x1, y1, x2, y2 = np.repeat(squared(faces), per_face, axis=0).T
    count, sides = len(x1), x2 - x1
    zooms = np.exp(chance.uniform(-1, 1, count) * np.log(max_zoom))
    across, down = chance.uniform(-max_shift, max_shift, (2, count)) * sides
    return _squares((x1 + x2) / 2 + across, (y1 + y2) / 2 + down, sides=sides * zooms)


def squares_anywhere(
    size_hw: tuple[int, int], chance: np.random.Generator, *, count: int, min_px: float
) -> Floats:
    """(count, 4) squares inside an image, from `min_px` to its shorter side, uniform in the logarithm."""
    height, width = size_hw
    longest = max(min(size_hw), min_px)
    sides = np.exp(chance.uniform(np.log(min_px), np.log(longest), count))
    across, down = chance.uniform(0, 1, (2, count))
    x, y = sides / 2 + across * (width - sides), sides / 2 + down * (height - sides)
    return _squares(x, y, sides=sides)


def cells_of(squares: Floats, size_hw: tuple[int, int]) -> Cells:
    """For each of (N, 4) squares the cell of P-Net's grid, in a level of its own, that sees most like it.

    A square larger than the image goes to the largest window that a level has.
    """
    seen = Seen.of_squares(squares)
    sides = np.minimum(seen.edges[:, 2] - seen.edges[:, 0], min(size_hw))
    scales = WINDOW_PX / sides
    heights, widths = level_size(size_hw, scales)
    rows = np.round(seen.edges[:, 1] * heights / size_hw[0] / 2).clip(0, (heights - WINDOW_PX) // 2)
    columns = np.round(seen.edges[:, 0] * widths / size_hw[1] / 2).clip(0, (widths - WINDOW_PX) // 2)
    return Cells(scales, rows.astype(np.intp), columns.astype(np.intp))


def cut_cells(picture: AreaMeans, cells: Cells) -> UInt8s:
    """(N, 3, 12, 12) what P-Net sees in each cell, as it sees it when it scans that level."""
    crops = np.empty((len(cells.scales), 3, WINDOW_PX, WINDOW_PX), np.uint8)
    heights, widths = level_size(picture.size_hw, cells.scales)
    for i, (height, width, row, column) in enumerate(
        zip(heights, widths, cells.rows, cells.columns, strict=True)
    ):
        top, left = 2 * int(row), 2 * int(column)
        size_hw = int(height), int(width)
        means = picture.reduced(size_hw, slice(top, top + WINDOW_PX), slice(left, left + WINDOW_PX))
        crops[i] = rounded(means)
    return crops


def cut_squares(picture: AreaMeans, squares: Floats, *, size_px: int) -> UInt8s:
    """(N, 3, size_px, size_px) what R-Net or O-Net sees of (N, 4) squares; black beyond the border."""
    return rounded(picture.crops(crop_edges(squares), size_px))


def rounded(means: FloatArray) -> UInt8s:
    """Means in 0..255 as bytes: at most half a grey level from what the detector feeds."""
    return np.round(means).astype(np.uint8)


def _squares(x: Floats, y: Floats, *, sides: Floats) -> Floats:
    """(N, 4) first and last pixel of squares, given their centres."""
    edges = np.stack([x - sides / 2, y - sides / 2, x + sides / 2, y + sides / 2], axis=1)
    return np.asarray(edges + FIRST_PIXEL, np.float32)
