"""The same face in another picture: moved a little, mirrored, lit, covered, coarse, blurred, compressed.

In the order in which a picture comes about:

    cover      a mask over mouth and nose, dark glasses, or a block, drawn onto the face (`face_covers`)
    move       a random similarity about the centre of the crop, and the cut to its final size: one warp
    mirror     the aligned crop is mirrored, as in the flip test; it is not aligned again
    coarsen    scaled down to a few dozen pixels, and up again
    light      brightness, contrast, saturation, hue, gray: one matrix; then blur and JPEG (`photometric`)

A larger crop has a margin around the 112 template (8 px on each side in one of 128); what moves into the
picture comes from there, and beyond it is mirrored at the border.

Augmentation is a function of the crop and a random generator; give each drawn sample a generator of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.errors import ShapeError
from vultus.training.data.face_covers import cover_face
from vultus.training.data.photometric import PhotometricSettings, photometric
from vultus.types import Image, checked_image

CROP_PX: Final = 112


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceAugmentation:
    """How much may change, and how often.

    Attributes:
        mirror_chance: of the mirror image.
        shift_px: at most this far to any side, in pixels of the final crop.
        scale: enlarged by, from and to.
        rotation_degrees: at most this far, either way.
        cover_chance: of something in front of the face.
        coarse_chance: of a small picture enlarged.
        coarse_px: the side of that small picture, from and to.
        light: colours, blur and compression; None changes none of them.
    """

    mirror_chance: float = 0.5
    shift_px: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotation_degrees: float = 0.0
    cover_chance: float = 0.0
    coarse_chance: float = 0.0
    coarse_px: tuple[int, int] = (24, 80)
    light: PhotometricSettings | None = None


AUGMENTATIONS: Final[Mapping[str, FaceAugmentation]] = {
    "none": FaceAugmentation(mirror_chance=0.0),
    "mirror": FaceAugmentation(),
    "light": FaceAugmentation(
        shift_px=3.0,
        scale=(0.95, 1.05),
        rotation_degrees=4.0,
        coarse_chance=0.05,
        light=PhotometricSettings(
            brightness=24.0,
            contrast=(0.8, 1.2),
            saturation=(0.7, 1.3),
            hue_degrees=6.0,
            gray_chance=0.02,
            blur_chance=0.05,
            jpeg_chance=0.05,
        ),
    ),
    "strong": FaceAugmentation(
        shift_px=5.0,
        scale=(0.88, 1.12),
        rotation_degrees=10.0,
        cover_chance=0.2,
        coarse_chance=0.25,
        coarse_px=(20, 80),
        light=PhotometricSettings(
            brightness=48.0,
            contrast=(0.5, 1.5),
            saturation=(0.3, 1.6),
            hue_degrees=12.0,
            gray_chance=0.1,
            blur_chance=0.15,
            blur_sigma_px=(0.5, 2.5),
            jpeg_chance=0.2,
            jpeg_quality=(15, 90),
        ),
    ),
}


def augment_face(
    crop: Image,
    chance: np.random.Generator,
    *,
    augmentation: FaceAugmentation,
    size_px: int = CROP_PX,
) -> Image:
    """Another picture of the face.

    Args:
        crop: (S, S, 3), RGB, an aligned face; S at least `size_px`, whose middle is the crop without change.
        chance: where randomness comes from.
        augmentation: how much, how often: one of `AUGMENTATIONS`, or your own.
        size_px: side of what comes out.

    Returns:
        (size_px, size_px, 3), RGB.

    Raises:
        ShapeError: the crop is not square, or smaller than `size_px`.
    """
    side = checked_image(crop, what="crop").shape[0]
    if crop.shape[1] != side or side < size_px:
        raise ShapeError(f"the crop must be square and at least {size_px} px wide, got {crop.shape}")
    how = augmentation
    if chance.random() < how.cover_chance:
        crop = cover_face(crop, chance, size_px=size_px)
    face = np.asarray(
        cv2.warpAffine(
            crop,
            _random_similarity(chance, how, side=side, size_px=size_px),
            (size_px, size_px),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.uint8,
    )
    if chance.random() < how.coarse_chance:
        face = _coarse(face, side=int(chance.integers(*how.coarse_px, endpoint=True)))
    return face if how.light is None else photometric(face, chance, settings=how.light)


def _random_similarity(
    chance: np.random.Generator, how: FaceAugmentation, *, side: int, size_px: int
) -> NDArray[np.float64]:
    """(2, 3): from pixels of the crop to those of the result, mirrored or not.

    Both centres are fixed points of everything but the shift: T(p) = s R (p - c) + c' + shift.
    """
    shift = chance.uniform(-how.shift_px, how.shift_px, size=2)
    scale = chance.uniform(*how.scale)
    angle = np.deg2rad(chance.uniform(-how.rotation_degrees, how.rotation_degrees))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if chance.random() < how.mirror_chance:
        linear[0] *= -1
    centre, new_centre = (side - 1) / 2, (size_px - 1) / 2
    offset = new_centre + shift - linear @ np.array([centre, centre])
    return np.column_stack([linear, offset])


def _coarse(face: Image, *, side: int) -> Image:
    """What a camera far away has seen of the face."""
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, face.shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
