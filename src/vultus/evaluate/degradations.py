"""Worse pictures of the same face, by a stated amount: what a probe looks like on a bad day.

Amounts are in the face's own measure, so that a large and a small photograph suffer alike: a *pixel* of blur
or resolution is one of the 112 px crop, found by the distance between the eyes in the picture as it was.

| name | strength | what happens |
|---|---|---|
| mask | share | so much of the face is behind a gray cloth, from the chin upwards |
| dark-glasses | share | a dark bar over the eyes, so high in eye distances |
| blur | px | Gaussian blur of this standard deviation |
| low-resolution | px | scaled down until the crop has so many pixels a side, and up again |
| brightness | factor | every pixel times it, clipped at white |
| jpeg | quality | compressed and opened again |
| rotation | degrees | turned about the face, counter-clockwise; what comes in from outside is black |
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from vultus.align.five_point import ARCFACE_TEMPLATE
from vultus.image import load_image
from vultus.types import Image

Landmarks: TypeAlias = NDArray[np.floating[Any]]  # (5, 2) x y in pixels

_CLOTH: Final = (190, 200, 205)
_DARK: Final = (20, 20, 22)
_EYE_DISTANCE: Final = float(np.linalg.norm(ARCFACE_TEMPLATE[1] - ARCFACE_TEMPLATE[0]))  # in the 112 crop
# The face in eye distances from the middle of the eyes: cheek to cheek, hairline to chin.
_CHEEK: Final = 1.15
_HAIRLINE, _CHIN = -0.9, 1.75


class Degradation(NamedTuple):
    """One way for a picture to be worse.

    Attributes:
        apply: image, (5, 2) landmarks of its face, strength -> the worse image, of the same size.
        strengths: those that are measured, from mild to severe.
        unit: of the strength, for people; {} is its place.
    """

    apply: Callable[[Image, Landmarks, float], Image]
    strengths: tuple[float, ...]
    unit: str


def mask(image: Image, landmarks: Landmarks, share: float) -> Image:
    """The lower `share` of the face, 0..1, behind a cloth."""
    top = _CHIN - share * (_CHIN - _HAIRLINE)
    corners = [(-_CHEEK, top), (_CHEEK, top), (0.75 * _CHEEK, _CHIN), (-0.75 * _CHEEK, _CHIN)]
    return _filled(image, landmarks, corners, _CLOTH)


def dark_glasses(image: Image, landmarks: Landmarks, share: float) -> Image:
    """A dark bar over both eyes, `share` eye distances high."""
    half = share / 2
    return _filled(image, landmarks, [(-1, -half), (1, -half), (1, half), (-1, half)], _DARK)


def blur(image: Image, landmarks: Landmarks, sigma_px: float) -> Image:
    """A Gaussian blur of `sigma_px` pixels of the 112 px crop."""
    sigma = sigma_px * _crop_scale(landmarks)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 1e-3)), dtype=np.uint8)


def low_resolution(image: Image, landmarks: Landmarks, side_px: float) -> Image:
    """Scaled down until the face's crop is `side_px` wide, and back up; a smaller face stays as it is."""
    height, width = image.shape[:2]
    scale = side_px / 112 / _crop_scale(landmarks)
    if scale >= 1:
        return image
    small_wh = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def brightness(image: Image, _: Landmarks, factor: float) -> Image:
    """Every pixel times `factor`, clipped."""
    brighter: Image = np.clip(image.astype(np.float32) * factor + 0.5, 0, 255).astype(np.uint8)
    return brighter


def jpeg(image: Image, _: Landmarks, quality: float) -> Image:
    """Compressed at `quality`, 1..100, and opened again."""
    buffer = BytesIO()
    PillowImage.fromarray(image).save(buffer, "JPEG", quality=round(quality))
    return load_image(buffer.getvalue())


def rotation(image: Image, landmarks: Landmarks, degrees: float) -> Image:
    """Turned about the middle of the face, counter-clockwise as seen."""
    x, y = landmarks.mean(axis=0).tolist()
    turn = cv2.getRotationMatrix2D((x, y), degrees, 1.0)
    height, width = image.shape[:2]
    return np.asarray(cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR), dtype=np.uint8)


DEGRADATIONS: Final[Mapping[str, Degradation]] = {
    "mask": Degradation(mask, (0.3, 0.45, 0.6), "{:.0%} of the face"),
    "dark-glasses": Degradation(dark_glasses, (0.4, 0.8), "{:g} eye distances"),
    "blur": Degradation(blur, (1, 2, 3, 4), "{:g} px"),
    "low-resolution": Degradation(low_resolution, (48, 32, 24, 16), "{:g} px"),
    "brightness": Degradation(brightness, (0.5, 0.2, 1.5, 2.5), "x {:g}"),
    "jpeg": Degradation(jpeg, (40, 20, 10, 5), "quality {:g}"),
    "rotation": Degradation(rotation, (15, 30, 60, 180), "{:g} degrees"),
}


def degraded(image: Image, landmarks: Landmarks, *, name: str, strength: float) -> Image:
    """The image made worse; as it is where no face is known in it (NaN), for there is nothing to lose."""
    if not np.isfinite(landmarks).all():
        return image
    return DEGRADATIONS[name].apply(image, landmarks, strength)


def _crop_scale(landmarks: Landmarks) -> float:
    """How many pixels of the image are one of the 112 px crop."""
    return float(np.linalg.norm(landmarks[1] - landmarks[0])) / _EYE_DISTANCE


def _filled(
    image: Image, landmarks: Landmarks, corners: list[tuple[float, float]], colour: tuple[int, int, int]
) -> Image:
    """A polygon over the face; corners in eye distances, right and down from the middle of the eyes."""
    across = landmarks[1] - landmarks[0]
    down = np.array([-across[1], across[0]])
    middle = (landmarks[0] + landmarks[1]) / 2
    points = [middle + x * across + y * down for x, y in corners]
    changed = image.copy()
    cv2.fillPoly(changed, [np.round(points).astype(np.int32)], colour, lineType=cv2.LINE_AA)
    return changed
