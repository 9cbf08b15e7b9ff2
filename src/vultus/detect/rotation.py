"""A second try for photos that lie on their side: a detector around a detector.

Detectors are trained on upright faces. A photo without orientation data may lie on its side or stand on its
head. Then they find nothing, or a face whose landmarks are guesses. So an image without an upright face (one
whose mouth is below its eyes rather than beside or above them) is turned by 90, 180 and 270 degrees, and the
turn with the best upright face wins; if there is none, the image as it was given.

Boxes and landmarks come back in pixels of the image as it was given. Landmarks keep their order: the left eye
is first, as one sees it with the face upright; so alignment turns the crop upright, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.detect.explanation import FLOOR, Explained, ExplainingDetector, NearMiss
from vultus.interfaces import FrugalDetector
from vultus.types import Detections, Image

TURNS: Final = (1, 2, 3)  # times 90 degrees, counterclockwise


class RotationRetry:
    """Finds faces with a detector; turns images without an upright one. As safe to share as that detector.

    Args:
        detector: looks at an image once, and three times more if it finds no upright face.
    """

    def __init__(self, detector: ExplainingDetector) -> None:
        self.detector = detector

    @property
    def needed_px(self) -> int | None:
        """What the detector needs."""
        return self.detector.needed_px if isinstance(self.detector, FrugalDetector) else None

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
        scores = [upright_score(faces) for faces in found]
        doubtful = [i for i, score in enumerate(scores) if not score]
        for turns in TURNS:
            turned = self.detector.detect_batch([turn(images[i], turns) for i in doubtful])
            for i, faces in zip(doubtful, turned, strict=True):
                if upright_score(faces) > scores[i]:
                    scores[i] = upright_score(faces)
                    found[i] = turned_back(faces, turns, size_hw=images[i].shape[:2])
        return found

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        """The faces of one image, and the near misses of the turn in which they were found.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
            InputError: `floor` does not lie between 0 and 1.
        """
        explained = self.detector.explain(image, floor=floor)
        score = upright_score(explained.faces)
        for turns in TURNS if not score else ():
            turned = self.detector.explain(turn(image, turns), floor=floor)
            if upright_score(turned.faces) > score:
                score = upright_score(turned.faces)
                explained = Explained(
                    turned_back(turned.faces, turns, size_hw=image.shape[:2]),
                    tuple(miss_back(miss, turns, size_hw=image.shape[:2]) for miss in turned.near_misses),
                )
        return explained


def turn(image: Image, turns: int) -> Image:
    """The image turned counterclockwise by 90 degrees, so many times."""
    return np.ascontiguousarray(np.rot90(image, turns))


def upright_score(faces: Detections) -> float:
    """That of the best face whose mouth is below its eyes, by up to 45 degrees; 0 where there is none."""
    eyes, mouths = faces.landmarks[:, :2].mean(axis=1), faces.landmarks[:, 3:].mean(axis=1)  # (N, 2)
    right, down = (mouths - eyes).T
    return float(faces.scores[down > np.abs(right)].max(initial=0))


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
