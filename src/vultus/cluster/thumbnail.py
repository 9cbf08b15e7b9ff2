"""A small picture of a face for an album: with hair and shoulders, where an aligned crop has neither."""

import io
from typing import Final

import numpy as np
from PIL import Image as PillowImage

from vultus.types import Detections, Image

SIDE_PX: Final = 192  # shown at half of it, sharp on a fine screen
WIDENED: Final = 1.7  # sides of the face's box


def thumbnail(image: Image, face: Detections) -> bytes:
    """The square around one face, inside the photo, upright, as a JPEG of at most `SIDE_PX`.

    Args:
        image: the photo.
        face: one detection.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in face.boxes[0])
    side = max(1, min(round(WIDENED * max(x2 - x1, y2 - y1)), height, width))
    left = min(max(round((x1 + x2 - side) / 2), 0), width - side)
    top = min(max(round((y1 + y2 - side) / 2), 0), height - side)
    square = image[top : top + side, left : left + side]
    picture = PillowImage.fromarray(np.ascontiguousarray(np.rot90(square, _quarters(face))))
    picture.thumbnail((SIDE_PX, SIDE_PX), PillowImage.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()


def _quarters(face: Detections) -> int:
    """How many quarters to the left a face has to be turned so that its eyes are above its mouth."""
    eyes, mouth = face.landmarks[0, :2].mean(axis=0), face.landmarks[0, 3:].mean(axis=0)
    down = mouth - eyes  # (2,) x y; y grows downwards
    return round(float(np.arctan2(-down[0], down[1])) / (np.pi / 2)) % 4
