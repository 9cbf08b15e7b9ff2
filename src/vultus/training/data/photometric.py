"""Another light and another camera: brightness, contrast, saturation, hue, now and then gray, blur or JPEG.

All four changes of colour, and gray, are affine in RGB, so they are one matrix and one pass over the pixels:

    x' = c H(h) S(s) x + 128 (1 - c) + b

    S(s) = s I + (1 - s) 1 l^T        l = (0.299, 0.587, 0.114), the luma of ITU-R BT.601
    H(h) = T^-1 R(h) T                T: RGB to luma and two chroma axes (YIQ); R turns the chroma plane by h

Gray is s = 0. Values beyond 0..255 are clipped once, at the end. Brightness and contrast are those of SSD's
augmentation, hue and saturation too, in YIQ instead of HSV: there the chroma of dark pixels is noise.

Liu et al.: SSD: Single shot multibox detector. ECCV 2016. https://arxiv.org/abs/1512.02325
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.types import Image

_LUMA: Final = np.array([0.299, 0.587, 0.114])
_YIQ: Final = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_RGB: Final = np.linalg.inv(_YIQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotometricSettings:
    """How much may change, and how often.

    Attributes:
        chance_each: of brightness, contrast, saturation and hue, each for itself, to change at all.
        brightness: at most this much is added or taken away, of 255.
        contrast: factor of the distance from middle gray, from and to.
        saturation: factor of the distance from gray, from and to.
        hue_degrees: at most this far the colour circle is turned, either way.
        gray_chance: of a picture without colour.
        blur_chance: of a Gaussian blur.
        blur_sigma_px: its standard deviation, from and to.
        jpeg_chance: of compression as JPEG.
        jpeg_quality: from and to, of 100.
    """

    chance_each: float = 0.5
    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue_degrees: float = 18.0
    gray_chance: float = 0.05
    blur_chance: float = 0.05
    blur_sigma_px: tuple[float, float] = (0.5, 1.5)
    jpeg_chance: float = 0.1
    jpeg_quality: tuple[int, int] = (30, 90)


def photometric(
    image: Image, chance: np.random.Generator, *, settings: PhotometricSettings | None = None
) -> Image:
    """The image in another light, perhaps blurred or compressed. Nothing moves.

    Args:
        image: (H, W, 3) uint8, RGB.
        chance: where randomness comes from.
        settings: how much, how often.
    """
    settings = settings or PhotometricSettings()
    changed = np.asarray(cv2.transform(image, _random_colours(chance, settings)), dtype=np.uint8)
    if chance.random() < settings.blur_chance:
        sigma = chance.uniform(*settings.blur_sigma_px)
        changed = np.asarray(cv2.GaussianBlur(changed, (0, 0), sigma), dtype=np.uint8)
    if chance.random() < settings.jpeg_chance:
        changed = _through_jpeg(changed, quality=int(chance.integers(*settings.jpeg_quality, endpoint=True)))
    return changed


def colour_matrix(
    *, brightness: float, contrast: float, saturation: float, hue_rad: float
) -> NDArray[np.float64]:
    """(3, 4): the affine map of RGB, as in the module's equation."""
    desaturate = saturation * np.eye(3) + (1 - saturation) * np.ones((3, 1)) * _LUMA
    cosine, sine = np.cos(hue_rad), np.sin(hue_rad)
    turn = _RGB @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ _YIQ
    offset = np.full((3, 1), 128 * (1 - contrast) + brightness)
    return np.hstack([contrast * turn @ desaturate, offset])


def _random_colours(chance: np.random.Generator, settings: PhotometricSettings) -> NDArray[np.float64]:
    is_changed = chance.random(4) < settings.chance_each
    brightness = chance.uniform(-settings.brightness, settings.brightness)
    contrast = chance.uniform(*settings.contrast)
    saturation = chance.uniform(*settings.saturation)
    hue_rad = np.deg2rad(chance.uniform(-settings.hue_degrees, settings.hue_degrees))
    is_gray = chance.random() < settings.gray_chance
    return colour_matrix(
        brightness=brightness if is_changed[0] else 0.0,
        contrast=contrast if is_changed[1] else 1.0,
        saturation=0.0 if is_gray else saturation if is_changed[2] else 1.0,
        hue_rad=hue_rad if is_changed[3] else 0.0,
    )


def _through_jpeg(image: Image, *, quality: int) -> Image:
    """What is left of the image after JPEG compression. The codec wants BGR."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1])
