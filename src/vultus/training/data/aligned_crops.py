"""Training crops of aligned faces for MTCNN: each is turned, resized, and seen through shifted windows.

An aligned face shows one pose in the middle of its picture. A random similarity transform makes a face out of
it as the cascade meets one: tilted, of any resolution, in a square that is not quite right. It brings its
landmarks, and, if wanted, is an example of a face too: a set of aligned faces shows more people than most
sets for detection do. Its box is then the one that a face with these landmarks would have, `box_around`, and
windows *inside* it are negatives: else the look of these pictures would come to mean "face".
"""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np

from vultus.geometry.boxes import Floats
from vultus.training.data.mtcnn_crops import MtcnnCrops, crops_of_squares
from vultus.training.data.mtcnn_windows import squares_near
from vultus.training.data.sample import Sample
from vultus.training.losses.mtcnn_multitask import CropKind
from vultus.types import FloatArray, Image

# Edges of a face's box from the mean of its five landmarks, in their root mean square distance from it:
# medians over the 3,135 faces of nine events of WIDER FACE that have landmarks and at least 30 pixels.
BOX_ABOUT_POINTS: Final = np.array([-1.78, -2.67, 1.78, 2.08], np.float32)

MIN_PICTURE_PX: Final = 32  # the least that a picture is reduced to, before windows in it are cut out
MAX_DEGREES: Final = 40.0
SURROUNDINGS: Final = 0.25  # of the picture's sides: what is added on each side
BLACK_SHARE: Final = 0.1  # how many faces are surrounded by black, as at the border of a photo

NEAR: Final = 3  # windows close to the face, for each transform
LANDMARKS_ONLY: Final[Mapping[CropKind, int]] = {CropKind.LANDMARK: 2}
ALL_KINDS: Final[Mapping[CropKind, int]] = {
    CropKind.NEGATIVE: 1,
    CropKind.POSITIVE: 1,
    CropKind.PART: 1,
    CropKind.LANDMARK: 1,
}


def aligned_crops(
    image: Image,
    landmarks: FloatArray,
    chance: np.random.Generator,
    *,
    size_px: int,
    limits: Mapping[CropKind, int] = ALL_KINDS,
) -> MtcnnCrops:
    """A few crops of one aligned face, after one transform of it.

    Args:
        image: (H, W, 3) the aligned face.
        landmarks: (5, 2) in its pixels.
        chance: what is drawn from.
        size_px: 12, 24 or 48: of which network the crops are.
        limits: how many crops of each kind there are at most.
    """
    sample = transformed(image, landmarks, chance)
    near = squares_near(sample.boxes, chance, per_face=NEAR, max_shift=0.15, max_zoom=1.25)
    squares = np.concatenate([near, square_inside(sample.boxes, chance)])
    return crops_of_squares(sample, squares, chance, size_px=size_px, limits=limits)


def square_inside(boxes: Floats, chance: np.random.Generator) -> Floats:
    """A square inside each face of (N, 4) boxes, so small that it overlaps the face by less than 0.3."""
    middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    small = np.concatenate([middles - sides / 6, middles + sides / 6], axis=1)
    return squares_near(small, chance, per_face=1, max_shift=0.8, max_zoom=1.3)


def transformed(image: Image, landmarks: FloatArray, chance: np.random.Generator) -> Sample:
    """The face at a lower resolution and turned about its middle; most faces little, some much.

    What surrounds the picture is its mirror image, or black: neither may come to mean "face".
    """
    side = max(image.shape[:2])
    factor = float(np.exp(chance.uniform(np.log(MIN_PICTURE_PX / side), 0)))
    height, width = (max(1, round(length * factor)) for length in image.shape[:2])
    reduced = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    degrees = float(np.clip(chance.normal(0, MAX_DEGREES / 3), -MAX_DEGREES, MAX_DEGREES))
    middle = landmarks.mean(axis=0) * scale
    matrix = np.asarray(cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), degrees, 1.0))
    turn, origin = matrix[:, :2], matrix[:, 2] + SURROUNDINGS * np.array([width, height])
    of_pixels = origin + turn.sum(axis=1) / 2 - 0.5  # OpenCV's pixel i lies at i, here at i + 0.5
    border = cv2.BORDER_CONSTANT if chance.random() < BLACK_SHARE else cv2.BORDER_REFLECT_101
    turned = cv2.warpAffine(
        reduced,
        np.column_stack([turn, of_pixels]),
        (round(width * (1 + 2 * SURROUNDINGS)), round(height * (1 + 2 * SURROUNDINGS))),
        flags=cv2.INTER_LINEAR,
        borderMode=border,
    )
    points = ((landmarks * scale) @ turn.T + origin).astype(np.float32)
    return Sample(np.asarray(turned, np.uint8), box_around(points), points[None], np.zeros(1, np.bool_))


def box_around(points: FloatArray) -> FloatArray:
    """(1, 4) the edges of the box that a face with these (5, 2) landmarks has, upright as all boxes are."""
    middle = points.mean(axis=0)
    spread = np.sqrt(np.square(points - middle).sum(axis=1).mean())
    return np.asarray(np.tile(middle, 2) + BOX_ABOUT_POINTS * spread, np.float32)[None]
