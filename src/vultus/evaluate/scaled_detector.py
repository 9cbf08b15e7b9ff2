"""Any detector, at a stated image size: a figure on WIDER FACE means nothing without its test scale."""

from collections.abc import Sequence

import numpy as np

from vultus.detect.fitting import Fit, fit, placed
from vultus.errors import InputError
from vultus.interfaces import Detector
from vultus.types import Detections, Image, checked_image


class ScaledDetector:
    """Resizes each image, detects, and gives the faces in pixels of the image that came. A `Detector`.

    Args:
        detector: what finds the faces.
        longest_px: what the longer side of every image becomes, be it larger or smaller.

    Raises:
        InputError: less than a pixel.
    """

    def __init__(self, detector: Detector, *, longest_px: int) -> None:
        if longest_px < 1:
            raise InputError(f"longest_px must be at least 1, got {longest_px}")
        self._detector = detector
        self.longest_px = longest_px

    def detect(self, image: Image) -> Detections:
        """The faces of one (H, W, 3) RGB image, best score first.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        """The faces of each image, which may differ in size.

        Raises:
            ShapeError: one of them is not an (H, W, 3) uint8 array.
        """
        checked = [checked_image(image) for image in images]
        fits = [fit(image.shape[:2], self.longest_px) for image in checked]
        resized = [
            placed(image, one, interpolation="area", pad_value=0)
            for image, one in zip(checked, fits, strict=True)
        ]
        found = self._detector.detect_batch(resized)
        return [_to_image(faces, one) for faces, one in zip(found, fits, strict=True)]


def _to_image(faces: Detections, how: Fit) -> Detections:
    corners = how.to_image(faces.boxes.astype(np.float64).reshape(-1, 2, 2))
    return Detections(corners.reshape(-1, 4), faces.scores, how.to_image(faces.landmarks))
