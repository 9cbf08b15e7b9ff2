"""Things in front of a face: a mask over mouth and nose, dark glasses, or a block of one colour or of noise.

They are drawn where an aligned face has its parts, which is the same in every crop (`align.five_point`), with
a little chance in every corner. Coordinates below are those of the 112 template.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.types import Image

# From the left cheek over the bridge of the nose to the right cheek, and back along jaw and chin.
_MASK: Final = np.array(
    [(20, 66), (42, 64), (56, 60), (70, 64), (92, 66), (90, 88), (78, 106), (56, 114), (34, 106), (22, 88)],
    dtype=np.float64,
)
_MASK_COLOURS: Final = ((240, 240, 238), (170, 200, 222), (120, 170, 190), (40, 40, 44), (150, 60, 70))
_EYES: Final = np.array([(38.3, 52.5), (73.5, 52.5)])
_LENS_PX: Final = np.array([15.0, 11.0])  # half width and half height


def cover_face(crop: Image, chance: np.random.Generator, *, size_px: int = 112) -> Image:
    """The face behind a mask, glasses or a block, each as often as the others.

    Args:
        crop: (S, S, 3), RGB, whose middle `size_px` are the template's own crop.
        chance: where randomness comes from.
        size_px: the side of that.
    """
    covered = crop.copy()
    scale = size_px / 112
    origin = (crop.shape[0] - size_px) / 2
    kind = chance.integers(3)
    if kind == 0:
        _draw_mask(covered, chance, scale=scale, origin=origin)
    elif kind == 1:
        _draw_glasses(covered, chance, scale=scale, origin=origin)
    else:
        _draw_block(covered, chance)
    return covered


def _draw_mask(crop: Image, chance: np.random.Generator, *, scale: float, origin: float) -> None:
    corners = (_MASK + chance.uniform(-4, 4, _MASK.shape)) * scale + origin
    colour = chance.choice(_MASK_COLOURS) * chance.uniform(0.6, 1.05)
    cv2.fillPoly(crop, [corners.round().astype(np.int32)], _bytes(colour), lineType=cv2.LINE_AA)
    for height in (78, 88, 98):  # pleats
        ends = np.array([(26, height), (86, height)]) + chance.uniform(-3, 3, (2, 2))
        start, end = (ends * scale + origin).round().astype(int).tolist()
        cv2.line(crop, start, end, _bytes(0.85 * colour), 1, cv2.LINE_AA)


def _draw_glasses(crop: Image, chance: np.random.Generator, *, scale: float, origin: float) -> None:
    eyes = ((_EYES + chance.uniform(-2, 2, 2)) * scale + origin).round().astype(int).tolist()
    axes = (_LENS_PX * chance.uniform(0.85, 1.2, 2) * scale).round().astype(int).tolist()
    colour = _bytes(chance.uniform(5, 60) * np.ones(3))
    for eye in eyes:
        cv2.ellipse(crop, eye, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.line(crop, eyes[0], eyes[1], colour, max(1, round(2 * scale)), cv2.LINE_AA)


def _draw_block(crop: Image, chance: np.random.Generator) -> None:
    """A rectangle of 3 to 20 % of the crop, somewhere in it: one colour, or noise."""
    side = crop.shape[0]
    share, shape = chance.uniform(0.03, 0.2), np.exp(chance.uniform(-0.7, 0.7))  # height / width
    size_hw = np.minimum(side * np.sqrt([share * shape, share / shape]), side).astype(int)
    top, left = (int(chance.integers(side - length + 1)) for length in size_hw)
    block = crop[top : top + size_hw[0], left : left + size_hw[1]]
    is_noise = chance.random() < 0.5
    block[...] = chance.integers(0, 256, block.shape if is_noise else 3, dtype=np.uint8)


def _bytes(colour: NDArray[np.float64]) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue
