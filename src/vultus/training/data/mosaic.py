"""Mosaic: four images around a random point, so that a sample has many faces, small ones, in new contexts.

    +--------+----+    The point lies in the middle half of the square, in x and in y. Each image is resized
    |   1    | 2  |    by a random factor of the size at which it would fit the square, and a random part of
    +--------+----+    it fills its quarter, with padding where it is smaller than that.
    |   3    | 4  |
    +--------+----+

Written from the description; there the images touch the point with their corners and the whole is then moved,
scaled and cut, which shows the same kinds of pictures.

Bochkovskiy, Wang, Liao: YOLOv4. 2020. https://arxiv.org/abs/2004.10934
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vultus.errors import InputError
from vultus.training.data.sample import Sample
from vultus.training.data.window import Window, view

POINT_RANGE = (0.25, 0.75)  # where the four images meet, as a share of the side


class Quarter(NamedTuple):
    """The place of one image, in pixels of the mosaic."""

    left: int
    top: int
    width: int
    height: int


def mosaic(
    samples: Sequence[Sample],
    chance: np.random.Generator,
    *,
    size_px: int,
    scales: tuple[float, float] = (0.5, 1.5),
    min_visible: float = 0.4,
    min_face_px: float = 0.0,
) -> Sample:
    """Four samples in one.

    Args:
        samples: four of them: upper left, upper right, lower left, lower right.
        chance: where randomness comes from.
        size_px: the side of the result.
        scales: size of the images, from and to, as multiples of that at which the whole image fits the
            result; uniform.
        min_visible: a face of which a smaller share of the area than this is seen is ignored, as is one whose
            centre is not seen.
        min_face_px: a face that gets smaller than this (its shorter side) is ignored.

    Returns:
        The mosaic, (size_px, size_px); the faces in the order of the samples.

    Raises:
        InputError: not four samples, a side below 4 px, or scales that are not 0 < from <= to.
    """
    if len(samples) != 4 or size_px < 4:
        raise InputError(f"a mosaic has 4 samples and 4 px or more, got {len(samples)} and {size_px} px")
    if not 0 < scales[0] <= scales[1]:
        raise InputError(f"scales must be (from, to) with 0 < from <= to, got {scales}")
    quarters = _quarters(chance, size_px=size_px)
    parts = []
    for sample, quarter in zip(samples, quarters, strict=True):
        zoom = chance.uniform(*scales) * size_px / max(sample.size_hw)
        window = _random_window(sample, quarter, zoom=zoom, chance=chance)
        size_hw = (quarter.height, quarter.width)
        parts.append(view(sample, window, size_hw=size_hw, min_face_px=min_face_px, min_visible=min_visible))
    return _joined(parts, quarters, size_px=size_px)


def _quarters(chance: np.random.Generator, *, size_px: int) -> list[Quarter]:
    """The four places around a random point, row by row."""
    x, y = (round(share * size_px) for share in chance.uniform(*POINT_RANGE, 2))
    return [
        Quarter(left, top, width, height)
        for top, height in ((0, y), (y, size_px - y))
        for left, width in ((0, x), (x, size_px - x))
    ]


def _random_window(sample: Sample, quarter: Quarter, *, zoom: float, chance: np.random.Generator) -> Window:
    """What of the image fills the quarter: all that fits it at this zoom, from a random place on."""
    height, width = sample.size_hw
    across, down = max(1, round(quarter.width / zoom)), max(1, round(quarter.height / zoom))
    left, top = round(chance.random() * (width - across)), round(chance.random() * (height - down))
    return Window(left, top, across, down)


def _joined(parts: Sequence[Sample], quarters: Sequence[Quarter], *, size_px: int) -> Sample:
    """One sample of four, each as large as its quarter."""
    image = np.empty((size_px, size_px, 3), np.uint8)
    boxes, landmarks = [], []
    for part, (left, top, width, height) in zip(parts, quarters, strict=True):
        image[top : top + height, left : left + width] = part.image
        corner = np.array([left, top], np.float32)
        boxes.append(part.boxes + np.tile(corner, 2))
        landmarks.append(part.landmarks + corner)
    is_ignored = np.concatenate([part.is_ignored for part in parts])
    return Sample(image, np.concatenate(boxes), np.concatenate(landmarks), is_ignored)
