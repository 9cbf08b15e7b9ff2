"""One image with its faces: what augmentation takes and gives, and what targets are made from.

A coordinate is a place, not the index of a pixel: pixel i covers i..i + 1, its middle is i + 0.5, and an
image W pixels wide ends at W. So coordinates scale and mirror exactly as the image does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.image import load_image
from vultus.training.data.annotations import AnnotatedImage
from vultus.types import FloatArray, Image


class Sample(NamedTuple):
    """An image and the N faces in it; N may be 0. No function changes the arrays of the sample it is given.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        boxes: (N, 4) float32, corners x1 y1 x2 y2 in pixels, with x2 > x1 and y2 > y1.
        landmarks: (N, 5, 2) float32, x y in pixels, as seen in the image: left eye, right eye, nose tip, left
            mouth corner, right mouth corner; NaN where not known.
        is_ignored: (N,) bool, neither a face to learn nor background.
    """

    image: Image
    boxes: FloatArray
    landmarks: FloatArray
    is_ignored: NDArray[np.bool_]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image."""
        height, width, _ = self.image.shape
        return height, width


def load_sample(annotated: AnnotatedImage) -> Sample:
    """The sample of an annotated image, with its file read.

    Raises:
        ImageError: the file is missing or no image.
    """
    image = load_image(annotated.path)
    return Sample(image, annotated.boxes, annotated.landmarks, annotated.is_ignored)


class LoadedSamples:
    """The samples of annotated images, each loaded when it is first asked for.

    Args:
        images: annotated ones.
        keep: hold the decoded images in memory, a byte for each pixel and channel.
    """

    def __init__(self, images: Sequence[AnnotatedImage], *, keep: bool) -> None:
        self._images = images
        self._keep = keep
        self._kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> Sample:
        """The sample of the image at this position.

        Raises:
            ImageError: its file is missing or no image.
        """
        sample = self._kept.get(number) or load_sample(self._images[number])
        if self._keep:
            self._kept[number] = sample
        return sample
