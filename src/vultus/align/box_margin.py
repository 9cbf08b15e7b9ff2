"""FaceNet's crop: the detected box with a margin around it, stretched to a square. It is not rotated.

The margin is counted in pixels of the crop, both sides together: a crop of s px with margin m shows the box
in its middle s - m px. In pixels of the image the margin is therefore, for a box side b,

    m_image = m b / (s - m),   half of it on either side,

separately for width and height. The region is then clipped to the image, rounded towards zero, and resized
by area averaging (bilinear where it has to grow), as facenet-pytorch does it: clipping and rounding move
and stretch the face a little, and the public weights were measured with exactly that.

Schroff, Kalenichenko, Philbin: FaceNet. CVPR 2015. https://arxiv.org/abs/1503.03832
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.types import Crops, Image, checked_image

FACENET_PX: Final = 160


def crop_boxes(
    image: Image, boxes: NDArray[np.floating[Any]], *, size_px: int = FACENET_PX, margin_px: int = 0
) -> Crops:
    """Cut the boxes out with their margin, each stretched to a square.

    Args:
        image: (H, W, 3), RGB.
        boxes: (N, 4) corners x1 y1 x2 y2 in pixels of the image.
        size_px: side of the crops.
        margin_px: how many pixels of that side are margin, both sides together.

    Returns:
        (N, size_px, size_px, 3), RGB, in the order of the boxes.

    Raises:
        ShapeError: image or boxes have another shape.
        InputError: the margin leaves nothing of the crop, or a box shows nothing of the image.
    """
    height, width = checked_image(image).shape[:2]
    corners = np.where(alignable(boxes)[:, None], boxes, 0).astype(np.float64)  # unusable ones show nothing
    regions = np.clip(_with_margin(corners, size_px=size_px, margin_px=margin_px), 0, [width, height] * 2)
    crops = np.empty((len(regions), size_px, size_px, 3), np.uint8)
    for i, (x1, y1, x2, y2) in enumerate(regions.astype(int)):
        if x1 >= x2 or y1 >= y2:
            raise InputError(
                f"box {i} of {len(regions)} shows nothing of an image of {width} x {height} px: "
                f"{np.asarray(boxes)[i].tolist()}"
            )
        cv2.resize(image[y1:y2, x1:x2], (size_px, size_px), dst=crops[i], interpolation=cv2.INTER_AREA)
    return crops


def alignable(boxes: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """(N,) whether each box is one: finite, with a width and a height.

    Raises:
        ShapeError: the boxes are not (N, 4).
    """
    corners = np.asarray(boxes)
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ShapeError(f"boxes must have shape (N, 4), got {corners.shape}")
    has_sides = corners[:, :2] < corners[:, 2:]  # false where a corner is NaN
    return np.asarray(np.isfinite(corners).all(axis=1) & has_sides.all(axis=1))


def _with_margin(corners: NDArray[np.float64], *, size_px: int, margin_px: int) -> NDArray[np.float64]:
    """(N, 4) the boxes enlarged, not yet clipped."""
    if not 0 <= margin_px < size_px:
        raise InputError(f"a crop of {size_px} px has no room for a margin of {margin_px} px")
    half_margin = (corners[:, 2:] - corners[:, :2]) * (margin_px / (size_px - margin_px) / 2)
    return np.concatenate([corners[:, :2] - half_margin, corners[:, 2:] + half_margin], axis=1)
