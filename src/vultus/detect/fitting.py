"""Images into a network's input, and what it finds there back into the images, exactly.

An image is resized so that its longer side is `longest_px` (or not at all), and gray bars fill what is
missing to the next multiple of the network's coarsest stride: half on either side, a letterbox. A network
that takes any size has multiple 1, and no bars.

Whole pixels must be chosen twice (the resized size, the bars), so the two axes scale by slightly different
factors. The way back uses the sizes that were really chosen: no rounding is left in it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vultus.geometry.boxes import Floats
from vultus.types import FloatArray, Image
from vultus.weights.description import Interpolation, Preprocessing


class Fit(NamedTuple):
    """How an image of one size lies in the network's input.

    Attributes:
        image_hw: height and width of the image.
        resized_hw: its height and width once it is resized.
        input_hw: height and width of the network's input.
        top_left: where in the input the resized image begins: row, column.
    """

    image_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    input_hw: tuple[int, int]
    top_left: tuple[int, int]

    def to_image(self, points: Floats) -> Floats:
        """(..., 2) x y of the network's input as x y of the image."""
        return (points - self._corner_xy) * self._scale_xy

    def to_input(self, points: Floats) -> Floats:
        """(..., 2) x y of the image as x y of the network's input."""
        return points / self._scale_xy + self._corner_xy

    @property
    def _corner_xy(self) -> Floats:
        return np.array(self.top_left[::-1], np.float64)

    @property
    def _scale_xy(self) -> Floats:
        return np.array(self.image_hw[::-1], np.float64) / np.array(self.resized_hw[::-1], np.float64)


def fit(
    size_hw: tuple[int, int],
    longest_px: int | None,
    *,
    multiple: int = 1,
    input_hw: tuple[int, int] | None = None,
) -> Fit:
    """How an image of this height and width is fed to a network.

    Args:
        size_hw: of the image.
        longest_px: what its longer side becomes, be it larger or smaller; None keeps the size.
        multiple: the sides of the network's input are multiples of this.
        input_hw: height and width of the network's input, where they are fixed: an image that would still be
            too large is reduced further.
    """
    factor = 1.0 if longest_px is None else longest_px / max(size_hw)
    if input_hw:
        factor = min(factor, input_hw[0] / size_hw[0], input_hw[1] / size_hw[1])
    height, width = (max(1, round(side * factor)) for side in size_hw)
    rows, columns = input_hw or (math.ceil(side / multiple) * multiple for side in (height, width))
    return Fit(size_hw, (height, width), (rows, columns), ((rows - height) // 2, (columns - width) // 2))


def network_input(
    images: Sequence[Image], fits: Sequence[Fit], *, preprocessing: Preprocessing, pad_value: int = 0
) -> FloatArray:
    """(N, 3, H, W) float32: the images, whose fits share one `input_hw`, as the network wants them.

    Channel by channel: OpenCV's `blobFromImages` gives the same numbers, and takes six times as long to BGR.
    """
    fitted = [
        placed(image, one, interpolation=preprocessing.interpolation, pad_value=pad_value)
        for image, one in zip(images, fits, strict=True)
    ]
    batch = np.empty((len(fitted), 3, *fitted[0].shape[:2]), np.float32)
    for image, planes in zip(fitted, batch, strict=True):
        ordered = cv2.split(image) if preprocessing.channels == "RGB" else cv2.split(image)[::-1]
        for pixels, plane, mean, std in zip(
            ordered, planes, preprocessing.mean, preprocessing.std, strict=True
        ):
            np.subtract(pixels, np.float32(mean), out=plane, dtype=np.float32)
            if std != 1:
                np.multiply(plane, np.float32(1 / std), out=plane)
    return batch


def placed(image: Image, how: Fit, *, interpolation: Interpolation, pad_value: int) -> Image:
    """The image resized and framed, still (H, W, 3) uint8 RGB."""
    if how.resized_hw != how.image_hw:
        is_averaged = interpolation == "area" and how.resized_hw < how.image_hw
        method = cv2.INTER_AREA if is_averaged else cv2.INTER_LINEAR
        image = cv2.resize(image, how.resized_hw[::-1], interpolation=method).astype(np.uint8, copy=False)
    if how.input_hw == how.resized_hw:
        return np.ascontiguousarray(image)
    (top, left), (height, width), (rows, columns) = how.top_left, how.resized_hw, how.input_hw
    edges = (top, rows - height - top, left, columns - width - left)
    framed = cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=(pad_value,) * 3)
    return framed.astype(np.uint8, copy=False)
