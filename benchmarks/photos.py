"""The photos that benchmarks of detection and of the whole share."""

import os
from pathlib import Path

import cv2
import numpy as np

from vultus.types import Image

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = Path(os.environ.get("VULTUS_SHARED", ROOT.parent / "shared")) / "data" / "photos"


def fitted(image: Image, size_hw: tuple[int, int]) -> Image:
    """The image as large as it fits into the size, in its middle, on black."""
    scale = min(size_hw[0] / image.shape[0], size_hw[1] / image.shape[1])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    canvas = np.zeros((*size_hw, 3), np.uint8)
    top, left = (size_hw[0] - height) // 2, (size_hw[1] - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA
    )
    return canvas


def tiled(image: Image, size_hw: tuple[int, int]) -> Image:
    """Two by two copies, mirrored left to right beside each other."""
    quarter = fitted(image, (size_hw[0] // 2, size_hw[1] // 2))
    row = np.hstack([quarter, quarter[:, ::-1]])
    return np.ascontiguousarray(np.vstack([row, row[:, ::-1]]))
