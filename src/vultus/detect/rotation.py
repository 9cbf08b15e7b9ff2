"""A second try for photos that lie on their side: a detector around a detector.

Detectors are trained on upright faces. A photo without orientation data may lie on its side or stand on its
head: where nothing is found in it, it is turned by 90, 180 and 270 degrees, and the turn with the best face
wins. Boxes and landmarks come back in pixels of the image as it was given. Landmarks keep their order: the
left eye is first, as one sees it with the face upright; so alignment turns the crop upright, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.detect.explanation import FLOOR, Explained, ExplainingDetector, NearMiss
from vultus.types import Detections, Image

TURNS: Final = (1, 2, 3)  # times 90 degrees, counterclockwise


class RotationRetry:
    """Finds faces with a detector, and turns the image where it finds none. As safe to share as that one.

    Args:
        detector: looks at an image once, and three times more if it found nothing.
    """

    def __init__(self, detector: ExplainingDetector) -> None:
        self.detector = detector

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
        found = self.detector.detect_batch(images)
        empty = [i for i, faces in enumerate(found) if not len(faces)]
        for turns in TURNS:
            turned = self.detector.detect_batch([turn(images[i], turns) for i in empty])
            for i, faces in zip(empty, turned, strict=True):
                if best_score(faces) > best_score(found[i]):
                    found[i] = turned_back(faces, turns, size_hw=images[i].shape[:2])
        return found

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        """The faces of one image, and the near misses of the turn in which they were found.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
            InputError: `floor` does not lie between 0 and 1.
        """
        explained = self.detector.explain(image, floor=floor)
        if len(explained.faces):
            return explained
        for turns in TURNS:
            turned = self.detector.explain(turn(image, turns), floor=floor)
            if best_score(turned.faces) > best_score(explained.faces):
                explained = Explained(
                    turned_back(turned.faces, turns, size_hw=image.shape[:2]),
                    tuple(miss_back(miss, turns, size_hw=image.shape[:2]) for miss in turned.near_misses),
                )
        return explained


def turn(image: Image, turns: int) -> Image:
    """The image turned counterclockwise by 90 degrees, so many times."""
    return np.ascontiguousarray(np.rot90(image, turns))


def best_score(faces: Detections) -> float:
    """That of the best face; 0 where there is none."""
    return float(faces.scores.max(initial=0))


def turned_back(faces: Detections, turns: int, *, size_hw: tuple[int, int]) -> Detections:
    """Faces of a turned image in pixels of the image of this height and width that was turned."""
    return Detections(
        boxes_back(faces.boxes, turns, size_hw=size_hw),
        faces.scores,
        points_back(faces.landmarks, turns, size_hw=size_hw),
    )


def miss_back(miss: NearMiss, turns: int, *, size_hw: tuple[int, int]) -> NearMiss:
    """A near miss in a turned image, likewise."""
    return replace(miss, box=boxes_back(miss.box[None], turns, size_hw=size_hw)[0])


def boxes_back(boxes: NDArray[Any], turns: int, *, size_hw: tuple[int, int]) -> NDArray[Any]:
    """(N, 4) boxes, likewise: what was left may be below now, but x1 stays the smaller x."""
    corners = points_back(boxes.reshape(-1, 2, 2), turns, size_hw=size_hw)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def points_back(points: NDArray[Any], turns: int, *, size_hw: tuple[int, int]) -> NDArray[Any]:
    """(..., 2) x y, likewise."""
    height, width = size_hw
    x, y = points[..., 0], points[..., 1]
    back = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}
    return np.stack(back[turns], axis=-1)
