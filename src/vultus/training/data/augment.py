"""Augmentation: what a camera might have seen instead. Every function takes a sample and gives another one.

    random_square_crop   RetinaFace: a random square of 0.3 to 1 times the shorter side
    data_anchor_crop     PyramidBox: one face is brought to a size drawn among the anchors' sizes
    mirror               left and right change places, in the landmarks too
    photometric          another light, another camera (in `photometric.py`)
    letterbox            all of the image, centred in a square: for validation, and for mosaics

Crops go first and are resized at once, so that all else touches few pixels. All chance comes from the
generator that is given: the same seed, the same sample.

Differs from the papers: faces cut by the crop are not dropped but ignored (`window.py`); PyramidBox's crop
does not zoom out beyond `max_zoom_out`, where nothing but padding would come in.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641
Tang, Du, He, Liu: PyramidBox. ECCV 2018. https://arxiv.org/abs/1803.07737
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.training.data.photometric import PhotometricSettings, photometric
from vultus.training.data.sample import Sample
from vultus.training.data.window import PAD_VALUE, Window, view
from vultus.types import FloatArray

__all__ = [
    "TRIES",
    "PhotometricSettings",
    "data_anchor_crop",
    "letterbox",
    "mirror",
    "photometric",
    "random_square_crop",
]

TRIES = 50  # squares that are drawn, of which the first one with a face is taken
_MIRRORED = [1, 0, 2, 4, 3]  # the landmarks are named as seen in the image


def random_square_crop(
    sample: Sample,
    chance: np.random.Generator,
    *,
    size_px: int,
    scales: tuple[float, float] = (0.3, 1.0),
    min_face_px: float = 0.0,
    holds_face: bool = True,
) -> Sample:
    """A random square of the image that holds the centre of a face, if it has faces.

    Where none of `TRIES` squares holds a face, it is the whole image, letterboxed. Of an image without faces
    (or with ignored ones only) any square will do.

    Args:
        sample: the image and its faces.
        chance: where randomness comes from.
        size_px: the side of the result.
        scales: the side of the square, from and to, as multiples of the image's shorter side; uniform. A
            square longer than a side of the image covers it, with padding beyond.
        min_face_px: a face that gets smaller than this (its shorter side) is ignored, and none to be held.
        holds_face: False takes any square: background, for the most part.

    Returns:
        The crop, (size_px, size_px).

    Raises:
        InputError: scales that are not 0 < from <= to.
    """
    if not 0 < scales[0] <= scales[1]:
        raise InputError(f"scales must be (from, to) with 0 < from <= to, got {scales}")
    squares = _random_squares(sample.size_hw, chance, scales=scales)
    faces = sample.boxes[~sample.is_ignored]
    is_good = _hold_face(squares, faces, min_face=min_face_px / size_px)
    if holds_face and len(faces) and not is_good.any():
        return letterbox(sample, size_px, min_face_px=min_face_px)
    left, top, side = squares[int(is_good.argmax()) if holds_face else 0].tolist()
    window = Window(left, top, side, side)
    return view(sample, window, size_hw=(size_px, size_px), min_face_px=min_face_px)


def data_anchor_crop(
    sample: Sample,
    chance: np.random.Generator,
    *,
    size_px: int,
    face_sizes: Sequence[float] = (16, 32, 64, 128, 256),
    min_face_px: float = 0.0,
    max_zoom_out: float = 2.0,
) -> Sample:
    """A square in which one face, drawn at random, has a size drawn at random: data-anchor sampling.

    Face size means sqrt(width * height). Let a be the `face_sizes` entry nearest to it. The target is any of
    the sizes up to the one after a, with equal chance, times 2^u, u uniform in -1..1. So large faces become
    small ones often, and small ones are not blown up much. The face lies anywhere in the square, as a whole;
    the square lies in the image as far as it fits.

    Args:
        sample: the image and its faces. Without faces it is a random square crop.
        chance: where randomness comes from.
        size_px: the side of the result. No target is so large that the face would not fit.
        face_sizes: sides of the anchors, in pixels, ascending.
        min_face_px: a face that gets smaller than this (its shorter side) is ignored.
        max_zoom_out: the square is at most this many times as long as the image's longer side.

    Returns:
        The crop, (size_px, size_px).

    Raises:
        InputError: face sizes that are not positive and ascending.
    """
    sizes = np.asarray(face_sizes, np.float64)
    if sizes.ndim != 1 or not len(sizes) or not sizes[0] > 0 or not (np.diff(sizes) > 0).all():
        raise InputError(f"face_sizes must be positive and ascending, got {tuple(face_sizes)}")
    faces = sample.boxes[~sample.is_ignored]
    if not len(faces):
        return random_square_crop(sample, chance, size_px=size_px, min_face_px=min_face_px)
    x1, y1, x2, y2 = faces[chance.integers(len(faces))].tolist()
    face_px = float(np.sqrt((x2 - x1) * (y2 - y1)))
    nearest = int(np.abs(np.log(sizes / face_px)).argmin())
    target = sizes[chance.integers(min(nearest + 2, len(sizes)))] * 2 ** chance.uniform(-1, 1)
    longest = max_zoom_out * max(sample.size_hw)
    side = max(
        round(min(size_px * face_px / target, longest)), math.ceil(x2 - x1) + 1, math.ceil(y2 - y1) + 1
    )
    height, width = sample.size_hw
    left = _start_around((x1, x2), side, length=width, chance=chance)
    top = _start_around((y1, y2), side, length=height, chance=chance)
    return view(sample, Window(left, top, side, side), size_hw=(size_px, size_px), min_face_px=min_face_px)


def mirror(sample: Sample) -> Sample:
    """The sample as seen in a mirror: what was the left eye is now the right eye."""
    _, width = sample.size_hw
    image = np.asarray(cv2.flip(sample.image, 1), dtype=np.uint8)
    boxes = sample.boxes[:, [2, 1, 0, 3]]
    boxes[:, [0, 2]] = width - boxes[:, [0, 2]]
    landmarks = sample.landmarks[:, _MIRRORED]
    landmarks[..., 0] = width - landmarks[..., 0]
    return Sample(image, boxes, landmarks, sample.is_ignored.copy())


def letterbox(
    sample: Sample, size_px: int, *, pad_value: int = PAD_VALUE, min_face_px: float = 0.0
) -> Sample:
    """The whole image in the middle of a square, as large as it fits.

    Args:
        sample: the image and its faces.
        size_px: the side of the square.
        pad_value: the colour of the two bars, in all three channels.
        min_face_px: a face that gets smaller than this (its shorter side) is ignored.
    """
    height, width = sample.size_hw
    side = max(height, width)
    window = Window((width - side) // 2, (height - side) // 2, side, side)
    return view(sample, window, size_hw=(size_px, size_px), pad_value=pad_value, min_face_px=min_face_px)


def _random_squares(
    size_hw: tuple[int, int], chance: np.random.Generator, *, scales: tuple[float, float]
) -> NDArray[np.int64]:
    """(TRIES, 3) left, top, side: inside the image, or covering it where longer than it."""
    sides = np.rint(chance.uniform(*scales, TRIES) * min(size_hw)).clip(min=1)
    slack = np.array(size_hw[::-1]) - sides[:, None]  # (TRIES, 2); negative where the square is longer
    starts = np.rint(chance.random((TRIES, 2)) * slack)
    return np.column_stack([starts, sides]).astype(np.int64)


def _hold_face(squares: NDArray[np.int64], faces: FloatArray, *, min_face: float) -> NDArray[np.bool_]:
    """(T,) which squares show the centre of a face that is large enough.

    Args:
        squares: (T, 3) left, top, side.
        faces: (N, 4).
        min_face: the shorter side of what is seen of the face, at least, as a share of the square's side.
    """
    starts, sides = squares[:, None, :2], squares[:, None, 2:]  # (T, 1, 2), (T, 1, 1)
    low, high = faces[:, :2], faces[:, 2:]
    centres = (low + high) / 2
    has_centre = ((centres >= starts) & (centres < starts + sides)).all(axis=2)  # (T, N)
    seen = np.minimum(high, starts + sides) - np.maximum(low, starts)  # (T, N, 2)
    is_large = seen.min(axis=2) >= min_face * squares[:, 2:]
    return np.asarray((has_centre & is_large).any(axis=1), dtype=np.bool_)


def _start_around(edges: tuple[float, float], side: int, *, length: int, chance: np.random.Generator) -> int:
    """Where along one axis a square with a whole face in it begins, inside the image where it fits.

    Args:
        edges: first and last coordinate of the face.
        side: of the square.
        length: of the image.
        chance: where randomness comes from.
    """
    slack = length - side
    low = max(math.ceil(edges[1]) - side, min(0, slack))
    high = min(math.floor(edges[0]), max(0, slack))
    return round(chance.uniform(min(low, high), max(low, high)))
