"""Any kind of pixel -> RGB, 8 bits each."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageChops, ImageCms

from vultus.errors import ImageError
from vultus.types import Image

_WHITE = (255, 255, 255)


def to_rgb(picture: PillowImage.Image, *, what: str) -> Image:
    """The pixels of a loaded picture of any mode.

    Args:
        picture: as Pillow's reader gives it.
        what: how messages name the image.

    Raises:
        ImageError: numbers of 32 bits whose white cannot be told.
    """
    if picture.mode.startswith("I;16"):
        return gray_to_rgb(high_bytes(np.asarray(picture)))
    if picture.mode in {"I", "F"}:
        return gray_to_rgb(_brightness(np.asarray(picture), what=what))
    if picture.mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
        return np.array(converted)
    if picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
        # Adobe's programs store 255 minus ink and leave a mark. Pillow takes every JPEG to be one of theirs.
        return np.array(ImageChops.invert(picture).convert("RGB"))
    if picture.has_transparency_data:
        return on_white(picture.convert("RGBA"))
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))  # `convert` copies


def on_white(rgba: PillowImage.Image) -> Image:
    """An RGBA picture laid on white paper, as people see it.

    Dropping alpha instead would bring back what the author has erased: the colours beneath are arbitrary.
    """
    paper = PillowImage.new("RGB", rgba.size, _WHITE)
    paper.paste(rgba, mask=rgba.getchannel("A"))
    return np.array(paper)


def gray_to_rgb(gray: NDArray[np.uint8]) -> Image:
    """(H, W) -> (H, W, 3)."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(gray), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def high_bytes(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """0..65535 -> 0..255, exactly as Pillow does with the channels of 16-bit colour files."""
    return (values >> 8).astype(np.uint8)


def _brightness(values: NDArray[np.int32] | NDArray[np.float32], *, what: str) -> NDArray[np.uint8]:
    """Gray of 32 bits -> 8 bits.

    Such a file does not say how bright white is. The conventions in use are 1.0 (for floats), 255 and
    65535: the smallest that covers the picture is taken.
    """
    lowest, highest = values.min(), values.max()
    conventions = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    white = next((white for white in conventions if highest <= white), None)
    if white is None or lowest < 0:  # NaN is covered by no convention
        raise ImageError(
            f"{what} has 32-bit pixels from {lowest:g} to {highest:g}, expected 0..1, 0..255 or 0..65535: "
            "its white cannot be told; save it with 8 or 16 bits"
        )
    return np.asarray(np.rint(values * (255.0 / white)), dtype=np.uint8)
