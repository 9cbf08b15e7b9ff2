"""An image pyramid and face crops from one summed-area table.

S(y, x) is the sum of all pixels above row y and left of column x. The sum over any rectangle, however large,
is then four look-ups:

    sum(y1..y2, x1..x2) = S(y2, x2) - S(y1, x2) - S(y2, x1) + S(y1, x1)

An output pixel is the mean of every source pixel that it touches. Of `out_count` output pixels over `count`
source pixels, number i covers those from floor(i count / out_count) up to, not including,
ceil((i + 1) count / out_count). This is PyTorch's "area" (adaptive average pooling), which the ports of MTCNN
feed to the public weights; OpenCV's INTER_AREA weighs the outermost pixels by the share that is covered.
The mean over all pixels leaves nothing to alias, at any scale.

Crow: Summed-area Tables for Texture Mapping. SIGGRAPH 1984. https://doi.org/10.1145/800031.808600
"""

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.types import FloatArray, Image

Integers: TypeAlias = NDArray[np.integer[Any]]


class AreaMeans:
    """One image, ready to be averaged over any rectangles.

    Args:
        image: (H, W, 3) uint8.

    Attributes:
        size_hw: height and width of the image.
    """

    def __init__(self, image: Image) -> None:
        self.size_hw: tuple[int, int] = (image.shape[0], image.shape[1])
        # (H + 1, W + 1, 4) int32. Beyond 8.4 million white pixels the sums wrap around; their differences
        # wrap back, as long as one rectangle alone stays below that. The fourth channel is nobody's: NumPy
        # takes 16 bytes at a time twice as fast as 12.
        padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        self._sums: Integers = cv2.integral(padded).astype(np.int32, copy=False)

    def reduced(self, size_hw: tuple[int, int], rows: slice, columns: slice) -> FloatArray:
        """A part of the whole image at another size.

        Args:
            size_hw: height and width of the whole resized image.
            rows: which of its rows, from `start` to `stop`.
            columns: which of its columns, likewise.

        Returns:
            (3, rows, columns) float32 in 0..255.
        """
        top, bottom = spans(np.arange(rows.start, rows.stop), self.size_hw[0], out_count=size_hw[0])
        left, right = spans(np.arange(columns.start, columns.stop), self.size_hw[1], out_count=size_hw[1])
        first = left[0]
        across = slice(first, right[-1] + 1)
        bands = self._sums[bottom, across] - self._sums[top, across]  # (rows, source columns + 1, 4)
        sums = bands.take(right - first, axis=1, mode="clip") - bands.take(left - first, axis=1, mode="clip")
        return means(sums, bottom - top, right - left)

    def crops(self, edges: Integers, size_px: int) -> FloatArray:
        """Rectangles of the image, each resized to a square. What lies outside the image is black.

        Args:
            edges: (N, 4) x1 y1 x2 y2: columns from x1 up to, not including, x2, and so on.
            size_px: height and width of every crop.

        Returns:
            (N, 3, size_px, size_px) float32 in 0..255.
        """
        x1, y1, x2, y2 = edges.T[:, :, None]  # (N, 1)
        out = np.arange(size_px)
        columns = x1 + spans(out, x2 - x1, out_count=size_px)  # (2, N, size_px): first, one after the last
        rows = y1 + spans(out, y2 - y1, out_count=size_px)
        heights, widths = rows[1] - rows[0], columns[1] - columns[0]  # those of black pixels count too
        (top, bottom), (left, right) = rows.clip(0, self.size_hw[0]), columns.clip(0, self.size_hw[1])
        sums = self._at(bottom, right)
        sums -= self._at(top, right)
        sums -= self._at(bottom, left)
        sums += self._at(top, left)
        return means(sums, heights, widths)

    def _at(self, rows: Integers, columns: Integers) -> Integers:
        """The table at all pairs of (N, R) rows and (N, C) columns: (N, R, C, 4)."""
        places = rows[:, :, None] * self._sums.shape[1] + columns[:, None, :]
        found: Integers = self._sums.reshape(-1, 4).take(places, axis=0, mode="clip")
        return found


def spans(out: Integers, count: int | Integers, *, out_count: int) -> Integers:
    """The source pixels under each output pixel: the first, and the one after the last, stacked.

    Args:
        out: which output pixels.
        count: how many source pixels there are in all.
        out_count: how many output pixels there are in all.
    """
    return np.stack([out * count // out_count, -(-(out + 1) * count // out_count)])


def means(sums: Integers, heights: Integers, widths: Integers) -> FloatArray:
    """(..., 3, H, W) float32 from (..., H, W, 4) sums, given the (..., H) heights and (..., W) widths."""
    planes = np.moveaxis(sums[..., :3], -1, -3).astype(np.float32, order="C")
    planes /= heights.astype(np.float32)[..., None, :, None] * widths.astype(np.float32)[..., None, None, :]
    return planes
