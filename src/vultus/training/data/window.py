"""A window on a sample: what is seen through it, at which size. Every crop, zoom and letterbox is one.

Pixels are averaged over their area where the image shrinks and interpolated linearly where it grows. Beyond
the image lies a constant colour.

What becomes of the faces:

    centre seen                         a face; its box is cut at the edge of the window
    centre not seen, some of it seen    ignored: half a face is neither a face nor background
    less than a pixel seen              gone

A face whose seen part is too small or too little of the whole (`min_face_px`, `min_visible`) is ignored as
well, not gone: it is no background. A landmark that is not seen becomes unknown (NaN).
"""

from typing import NamedTuple

import cv2
import numpy as np

from vultus.errors import InputError
from vultus.training.data.sample import Sample
from vultus.types import FloatArray, Image

PAD_VALUE = 114  # the gray of YOLOv5's letterbox; near the mean of natural images


class Window(NamedTuple):
    """A rectangle in whole pixels of an image, perhaps reaching beyond it."""

    left: int
    top: int
    width: int
    height: int


class Placing(NamedTuple):
    """Where the seen part of an image comes to lie: x -> scale (x - origin) + target, y likewise.

    Attributes:
        origin: (2,) float32, the corner of what is seen, in pixels of the image.
        scale: (2,) float32, in x and y: the two differ by what rounding to whole pixels takes.
        target: (2,) float32, where that corner comes to lie, in pixels of the result.
    """

    origin: FloatArray
    scale: FloatArray
    target: FloatArray

    def __call__(self, points: FloatArray) -> FloatArray:
        """(..., 2) points of the image as (..., 2) points of the result."""
        return (points - self.origin) * self.scale + self.target


def view(
    sample: Sample,
    window: Window,
    *,
    size_hw: tuple[int, int],
    pad_value: int = PAD_VALUE,
    min_face_px: float = 0.0,
    min_visible: float = 0.0,
) -> Sample:
    """What is seen through a window.

    Args:
        sample: the whole image and its faces.
        window: what to look at; it must show some of the image.
        size_hw: height and width of the result, in pixels; in about the proportions of the window.
        pad_value: of all three channels, where the window reaches beyond the image.
        min_face_px: a face with a shorter side below this, in pixels of the result, is ignored.
        min_visible: a face of which a smaller share of the area than this is seen is ignored.

    Returns:
        A sample whose boxes lie within the image.

    Raises:
        InputError: a window or a result without area, or a window that shows nothing of the image.
    """
    image, place = _look(sample.image, window, size_hw=size_hw, pad_value=pad_value)
    limits = np.array(size_hw[::-1], np.float32)
    corners = place(sample.boxes.reshape(-1, 2, 2))  # (N, corner, x y)
    seen = np.clip(corners, 0, limits)
    sizes = seen[:, 1] - seen[:, 0]  # (N, 2)
    centres = (corners[:, 0] + corners[:, 1]) / 2
    has_centre = np.asarray(((centres >= 0) & (centres < limits)).all(axis=1))
    least_area = min_visible * (corners[:, 1] - corners[:, 0]).prod(axis=1)
    is_little = (sizes.min(axis=1) < min_face_px) | (sizes.prod(axis=1) < least_area)
    is_ignored = sample.is_ignored | ~has_centre | is_little
    landmarks = place(sample.landmarks)
    landmarks[((landmarks < 0) | (landmarks >= limits)).any(axis=2)] = np.nan
    is_kept = np.where(has_centre[:, None], sizes > 0, sizes >= 1).all(axis=1)
    return Sample(image, seen.reshape(-1, 4)[is_kept], landmarks[is_kept], is_ignored[is_kept])


def _look(image: Image, window: Window, *, size_hw: tuple[int, int], pad_value: int) -> tuple[Image, Placing]:
    """The pixels behind the window, and where they were put."""
    height, width, _ = image.shape
    left, right, to_left, to_right = _overlap(window.left, window.width, length=width, size=size_hw[1])
    top, bottom, to_top, to_bottom = _overlap(window.top, window.height, length=height, size=size_hw[0])
    part = image[top:bottom, left:right]
    resized = _resized(part, (to_bottom - to_top, to_right - to_left))
    scale = (to_right - to_left) / (right - left), (to_bottom - to_top) / (bottom - top)
    placing = Placing(*(np.array(pair, np.float32) for pair in ((left, top), scale, (to_left, to_top))))
    if resized.shape[:2] == size_hw:
        return resized, placing
    canvas = np.full((*size_hw, 3), pad_value, np.uint8)
    canvas[to_top:to_bottom, to_left:to_right] = resized
    return canvas, placing


def _overlap(start: int, extent: int, *, length: int, size: int) -> tuple[int, int, int, int]:
    """Along one axis: from where to where the image is seen, and where that comes to lie in the result.

    Args:
        start: of the window, in pixels of the image.
        extent: of the window.
        length: of the image.
        size: of the result.

    Raises:
        InputError: no extent, no size, or nothing of the image is seen.
    """
    low, high = max(0, start), min(length, start + extent)
    if extent < 1 or size < 1 or low >= high:
        raise InputError(
            f"a window must show some of the image, 0..{length}, at one pixel or more, "
            f"got {start}..{start + extent} shown at {size} px"
        )
    to_low = min(size - 1, round((low - start) * size / extent))
    to_high = max(to_low + 1, round((high - start) * size / extent))
    return low, high, to_low, to_high


def _resized(image: Image, size_hw: tuple[int, int]) -> Image:
    """The image at another size: by area where it shrinks, linearly where it grows."""
    height, width = size_hw
    if image.shape[:2] == size_hw:
        return image.copy()
    is_shrunk = height * width < image.shape[0] * image.shape[1]
    interpolation = cv2.INTER_AREA if is_shrunk else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), dtype=np.uint8)
