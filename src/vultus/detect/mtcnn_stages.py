"""The three stages of MTCNN, each a function from windows to windows. See `vultus.detect.mtcnn`.

P-Net runs on tiles of the pyramid's levels, R-Net and O-Net on portions of the crops: small enough for what
they compute to stay in the cache, and enough of them to keep every thread of the pool busy.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.detect.area_means import AreaMeans, Integers
from vultus.detect.explanation import NearMiss, near_misses
from vultus.detect.search import Candidates, Search, sigmoid
from vultus.geometry.boxes import Floats, moved, nms, squared
from vultus.interfaces import Session
from vultus.types import Detections, FloatArray

WINDOW_PX: Final = 12  # what P-Net sees at once, every 2 pixels
LEVEL_MAX_IOU: Final = 0.5
MAX_IOU: Final = 0.7

TILE_CELLS: Final = 64  # a tile has up to 64 x 64 of P-Net's windows
CROPS_PER_RUN: Final = 16

FIRST_PIXEL: Final = np.array([1, 1, 0, 0], np.float32)


class Windows(NamedTuple):
    """N windows that a network has looked at.

    Attributes:
        boxes: (N, 4) first and last pixel, counted from 1.
        margins: (N,) logit of "face" minus logit of "not a face".
        offsets: (N, 4) how far the edges of the face lie from those of the box, in box sides.
        landmarks: (N, 10) x1..x5 y1..y5, in box sides from its corner; (N, 0) where the network has none.
    """

    boxes: Floats
    margins: Floats
    offsets: Floats
    landmarks: Floats

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Windows":
        """Those at these positions, or under this mask."""
        return Windows(*(part[chosen] for part in self))


NO_WINDOWS: Final = Windows(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros((0, 4), np.float32),
    np.zeros((0, 10), np.float32),
)


class Tile(NamedTuple):
    """A part of one level of the pyramid.

    Attributes:
        scale: of the level.
        level_hw: height and width of the level.
        rows: of the level, in pixels.
        columns: of the level, in pixels.
    """

    scale: float
    level_hw: tuple[int, int]
    rows: slice
    columns: slice


def propose(
    pnet: Session,
    pictures: Sequence[AreaMeans],
    *,
    scales: Sequence[Sequence[float]],
    min_margin: float,
    pool: Executor,
) -> list[Floats]:
    """Stage 1: for each image, the (N, 4) squares that may hold a face, given the scales of its pyramid."""
    found = [  # all is handed to the pool before anything is waited for
        [
            pool.map(
                partial(scan, pnet=pnet, picture=picture, min_margin=min_margin),
                tiles(picture.size_hw, scale),
            )
            for scale in picture_scales
        ]
        for picture, picture_scales in zip(pictures, scales, strict=True)
    ]
    return [merge([joined(list(level)) for level in levels]) for levels in found]


def tiles(size_hw: tuple[int, int], scale: float) -> list[Tile]:
    """The tiles of the level of an image at one scale."""
    height, width = (int(side) for side in level_size(size_hw, scale))
    return [
        Tile(scale, (height, width), rows, columns)
        for rows in tile_sides(height)
        for columns in tile_sides(width)
    ]


def level_size(size_hw: tuple[int, int], scale: float | Floats) -> tuple[Integers, Integers]:
    """Height and width of the level of an image at one scale, or at each of several."""
    height, width = (np.floor(side * np.asarray(scale) + 1).astype(np.int64) for side in size_hw)
    return height, width


def tile_sides(side_px: int) -> list[slice]:
    """The pixels of each tile along one axis of a level.

    P-Net's convolutions are unpadded, and its pooling starts at even pixels. Tiles that start there too, and
    overlap by the 10 pixels by which a window is longer than its stride, answer as the whole level would.
    """
    cell_count = (side_px - 9) // 2  # one in 12 pixels, and one more for every 2, begun or full
    return [
        slice(2 * first, min(2 * (first + TILE_CELLS) + 10, side_px))
        for first in range(0, cell_count, TILE_CELLS)
    ]


def scan(tile: Tile, *, pnet: Session, picture: AreaMeans, min_margin: float) -> Windows:
    """The windows of a tile that P-Net takes for faces."""
    pixels = picture.reduced(tile.level_hw, tile.rows, tile.columns)
    logits, offsets = pnet.run(network_input(pixels[None]))[:2]
    margins = logits[0, 1] - logits[0, 0]  # (rows, columns)
    rows, columns = np.nonzero(margins >= min_margin)
    boxes = cell_boxes(rows + tile.rows.start // 2, columns + tile.columns.start // 2, scale=tile.scale)
    return Windows(boxes, margins[rows, columns], offsets[0, :, rows, columns], boxes[:, :0])


def cell_boxes(rows: NDArray[np.intp], columns: NDArray[np.intp], *, scale: float | Floats) -> FloatArray:
    """The (N, 4) windows of P-Net's cells, in pixels of the original image: first and last, counted from 1.

    The scale is that of their level, or (N,) if each cell is of another.

    In float32, as in the ports: near whole numbers, rounding decides what `floor` makes of a quotient.
    """
    corners = 2 * np.stack([columns, rows, columns, rows], axis=1) + [1, 1, WINDOW_PX, WINDOW_PX]
    boxes: FloatArray = np.floor(corners.astype(np.float32) / np.asarray(scale, np.float32)[..., None])
    return boxes


def merge(levels: Sequence[Windows]) -> Floats:
    """The (N, 4) squares that remain of the windows of all levels."""
    if not levels:
        return NO_WINDOWS.boxes
    best = [each.at(nms(each.boxes, each.margins, max_iou=LEVEL_MAX_IOU)) for each in levels]
    windows = joined(best)
    windows = windows.at(nms(windows.boxes, windows.margins, max_iou=MAX_IOU))
    return squared(moved(windows.boxes, windows.offsets))


def look(
    network: Session,
    pictures: Sequence[AreaMeans],
    *,
    squares: Sequence[Floats],
    size_px: int,
    min_margin: float,
    pool: Executor,
) -> list[Windows]:
    """For each image, the windows that a network for crops takes for faces, among the (N, 4) squares given.

    Boxes that show nothing of the image are dropped before anything is cut. A run may take crops from several
    images.
    """
    visible = [
        boxes[is_visible(boxes, picture.size_hw)] for picture, boxes in zip(pictures, squares, strict=True)
    ]
    boxes = np.concatenate(visible)
    owners = np.repeat(np.arange(len(pictures)), [len(each) for each in visible])  # whose box each is
    portions = [slice(i, i + CROPS_PER_RUN) for i in range(0, len(boxes), CROPS_PER_RUN)]
    runs = pool.map(
        partial(look_once, network=network, pictures=pictures, size_px=size_px),
        [boxes[portion] for portion in portions],
        [owners[portion] for portion in portions],
    )
    windows = joined(list(runs)) if portions else NO_WINDOWS
    is_face = windows.margins >= min_margin
    return [windows.at(is_face & (owners == i)) for i in range(len(pictures))]


def look_once(
    boxes: Floats, owners: NDArray[np.intp], *, network: Session, pictures: Sequence[AreaMeans], size_px: int
) -> Windows:
    """One run of a network for crops, on boxes in the order of the images that own them."""
    crops = [pictures[i].crops(crop_edges(boxes[owners == i]), size_px) for i in np.unique(owners)]
    logits, offsets, *landmarks = network.run(network_input(np.concatenate(crops)))
    return Windows(boxes, logits[:, 1] - logits[:, 0], offsets, landmarks[0] if landmarks else boxes[:, :0])


def refine(windows: Windows) -> Floats:
    """Stage 2: the (N, 4) squares that remain of what R-Net takes for faces."""
    windows = windows.at(nms(windows.boxes, windows.margins, max_iou=MAX_IOU))
    return squared(moved_by_pixels(windows))


def decide(windows: Windows) -> Detections:
    """Stage 3: the faces among what O-Net takes for faces."""
    seen = candidates(windows)
    faces = seen.at(nms(pixel_edges(seen.boxes), windows.margins, max_iou=MAX_IOU, overlap="minimum"))
    return Detections(*(part.astype(np.float32) for part in faces))


def candidates(windows: Windows) -> Candidates:
    """What O-Net makes of the windows, before the last suppression."""
    corners, sides = pixel_edges(windows.boxes)[:, None, :2], pixel_counts(windows.boxes)[:, None]
    landmarks = windows.landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)  # (N, 5, 2)
    return Candidates(moved_by_pixels(windows), sigmoid(windows.margins), landmarks * sides + corners)


def nearly_decided(windows: Windows, search: Search) -> tuple[NearMiss, ...]:
    """What O-Net saw that is not among the faces, given windows of lower scores too."""
    seen = candidates(windows)
    told = near_misses(seen._replace(boxes=pixel_edges(seen.boxes)), search)
    return tuple(replace(miss, box=miss.box + FIRST_PIXEL) for miss in told)


def moved_by_pixels(windows: Windows) -> Floats:
    """The (N, 4) boxes after their offsets, which R-Net and O-Net measure in pixels that the box names."""
    return windows.boxes + windows.offsets * np.tile(pixel_counts(windows.boxes), 2)


def pixel_counts(boxes: Floats) -> Floats:
    """(N, 2) how many pixels wide and high each box is: it names its first and its last."""
    return boxes[:, 2:] - boxes[:, :2] + 1


def pixel_edges(boxes: Floats) -> Floats:
    """(N, 4) where these pixels begin and end: the first, counted from 1, begins at x1 - 1."""
    return boxes - FIRST_PIXEL


def crop_edges(boxes: Floats) -> NDArray[np.int64]:
    """The edges of whole pixels, for cutting out."""
    return pixel_edges(np.floor(boxes)).astype(np.int64)


def is_visible(boxes: Floats, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) whether any pixel of the box lies in the image."""
    x1, y1, x2, y2 = crop_edges(boxes).T
    height, width = size_hw
    is_across = np.maximum(x1, 0) < np.minimum(x2, width)
    return np.asarray(is_across & (np.maximum(y1, 0) < np.minimum(y2, height)))


def network_input(means: FloatArray) -> FloatArray:
    """What the networks were trained on: 0..255 brought to about -1..1, in place."""
    means -= 127.5
    means /= 128
    return means


def joined(parts: Sequence[Windows]) -> Windows:
    """All windows in one."""
    return Windows(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))
