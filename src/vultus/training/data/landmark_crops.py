"""Landmark crops for MTCNN, from aligned faces: each is turned, resized, and seen through a shifted window.

An aligned face shows one pose in the middle of its picture. A random similarity transform makes a face out of
it as the cascade meets one: rotated, of any resolution, in a square that is not quite right. The square is
laid about the box that a face with these landmarks would have: `box_around`.
"""

from typing import Final

import cv2
import numpy as np

from vultus.detect.area_means import AreaMeans
from vultus.geometry.boxes import Floats
from vultus.training.data.mtcnn_crops import MtcnnCrops
from vultus.training.data.mtcnn_targets import Cells, Seen, Targets, landmarks_of
from vultus.training.data.mtcnn_windows import cells_of, cut_cells, cut_squares, squares_near
from vultus.training.losses.mtcnn_multitask import CropKind
from vultus.types import FloatArray, Image

# Edges of a face's box from the mean of its five landmarks, in their root mean square distance from it:
# medians over the 3,135 faces of nine events of WIDER FACE that have landmarks and at least 30 pixels.
BOX_ABOUT_POINTS: Final = np.array([-1.78, -2.67, 1.78, 2.08], np.float32)

MIN_PICTURE_PX: Final = 32  # the least that a picture is reduced to, before a window in it is cut out


def landmark_crops(
    image: Image, landmarks: FloatArray, chance: np.random.Generator, *, size_px: int, count: int
) -> MtcnnCrops:
    """`count` crops of one aligned face, each from a transform and a window of its own.

    Args:
        image: (H, W, 3) the aligned face.
        landmarks: (5, 2) in its pixels.
        chance: what is drawn from.
        size_px: 12, 24 or 48: of which network the crops are.
        count: how many.
    """
    parts = []
    for _ in range(count):
        turned, points = transformed(image, landmarks, chance)
        squares = squares_near(box_around(points), chance, per_face=1, max_shift=0.15, max_zoom=1.25)
        picture = AreaMeans(turned)
        parts.append(_crop(picture, squares, points, size_px=size_px))
    return MtcnnCrops(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _crop(picture: AreaMeans, squares: Floats, points: FloatArray, *, size_px: int) -> MtcnnCrops:
    """The crop of one square around (5, 2) points."""
    if size_px == 12:
        cells: Cells = cells_of(squares, picture.size_hw)
        seen, images = cells.seen(picture.size_hw), cut_cells(picture, cells)
    else:
        seen, images = Seen.of_squares(squares), cut_squares(picture, squares, size_px=size_px)
    kinds = np.array([CropKind.LANDMARK], np.int8)
    targets = Targets(kinds, np.zeros((1, 4), np.float32), landmarks_of(seen, points[None]))
    return MtcnnCrops.of_windows(images, seen, targets)


def transformed(
    image: Image, landmarks: FloatArray, chance: np.random.Generator, *, max_degrees: float = 40.0
) -> tuple[Image, FloatArray]:
    """The face at a lower resolution and turned about its middle; most faces little, some much.

    What turns into the picture from outside is black or a mirror image: neither may come to mean "face".
    """
    side = max(image.shape[:2])
    factor = float(np.exp(chance.uniform(np.log(MIN_PICTURE_PX / side), 0)))
    height, width = (max(1, round(length * factor)) for length in image.shape[:2])
    reduced = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    degrees = float(np.clip(chance.normal(0, max_degrees / 2.5), -max_degrees, max_degrees))
    middle = landmarks.mean(axis=0) * scale
    matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), degrees, 1.0)
    # OpenCV's pixel i lies at i, here at i + 0.5
    shift = matrix[:, :2].sum(axis=1) / 2 - 0.5
    pixels = np.column_stack([matrix[:, :2], matrix[:, 2] + shift])
    border = cv2.BORDER_CONSTANT if chance.random() < 0.5 else cv2.BORDER_REFLECT_101
    turned = cv2.warpAffine(reduced, pixels, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
    points = (landmarks * scale) @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(turned, np.uint8), points.astype(np.float32)


def box_around(points: FloatArray) -> FloatArray:
    """(1, 4) the edges of the box that a face with these (5, 2) landmarks has, upright as all boxes are."""
    middle = points.mean(axis=0)
    spread = np.sqrt(np.square(points - middle).sum(axis=1).mean())
    return np.asarray(np.tile(middle, 2) + BOX_ABOUT_POINTS * spread, np.float32)[None]
