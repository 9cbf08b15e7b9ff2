"""Real crops for the gate where the user gives none: one face, seen in sixteen ways."""

import cv2
import numpy as np

from vultus.embed.self_check import reference_face
from vultus.types import Crops, Image

SHIFTS_PX = (0, 3, -5, 8)
GAINS = (1.0, 0.6)  # of the brightness


def default_crops(size_hw: tuple[int, int]) -> Crops:
    """(16, H, W, 3) the face that comes with the package: shifted, mirrored, darker; in this size."""
    face = reference_face()
    ways = [
        _seen(face, shift_px=shift, is_mirrored=is_mirrored, gain=gain)
        for shift in SHIFTS_PX
        for is_mirrored in (False, True)
        for gain in GAINS
    ]
    return resized(np.stack(ways), size_hw)


def resized(crops: Crops, size_hw: tuple[int, int]) -> Crops:
    """The crops in another size."""
    if crops.shape[1:3] == size_hw:
        return crops
    height, width = size_hw
    return np.stack(
        [
            np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            for crop in crops
        ]
    )


def _seen(face: Image, *, shift_px: int, is_mirrored: bool, gain: float) -> Image:
    moved = np.roll(face[:, ::-1] if is_mirrored else face, shift_px, axis=(0, 1))
    return np.asarray(np.round(moved * gain), dtype=np.uint8)
