"""One way in for every picture: path, bytes, file object or array -> upright RGB, uint8."""

import io
import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from vultus.defaults import DEFAULT_MAX_PIXELS
from vultus.errors import ImageError
from vultus.image.decode import (
    SIDEWAYS,
    Reduced,
    decode,
    decode_reduced,
    exif_orientation,
    named_damage,
    read_header,
)
from vultus.image.rgb import gray_to_rgb, high_bytes, on_white
from vultus.image.source import ImageSource, opened
from vultus.types import Image

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def load_image(source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image:
    """The picture as a person sees it: upright, in RGB.

    EXIF orientation is applied. Gray, palette, 16-bit and CMYK pictures are converted; what is transparent
    shows white. Of an animation the first frame counts. An array may be (H, W), (H, W, 1), (H, W, 3) RGB
    or (H, W, 4) RGBA, of uint8 (0..255), uint16 (0..65535) or bool.

    Args:
        source: a path, the bytes of an image file, a file object in binary mode, or an array. URLs are
            not fetched.
        max_pixels: a file of more pixels is refused before anything is decoded: a few kilobytes can
            unpack to gigabytes. An array is not capped, since its memory is already spent.

    Returns:
        (H, W, 3) uint8, RGB, C-contiguous. An array that is so already is returned itself, not copied.

    Raises:
        ImageError: missing, unreadable, empty, no image, truncated, damaged, or over the cap.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    with opened(source) as (stream, what):
        return decode(stream, what=what, max_pixels=max_pixels)


def load_reduced(
    source: ImageSource, *, least_px: int | None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Reduced:
    """`load_image` for those who need no more than `least_px` of the longer side: sooner, for large JPEGs.

    Args:
        source: as for `load_image`; an array comes back as it is.
        least_px: the longer side may become no smaller than this; None keeps the size.
        max_pixels: a file of more pixels (before it is reduced) is refused.

    Returns:
        The image, and how it lies in the whole picture.

    Raises:
        ImageError: missing, unreadable, empty, no image, truncated, damaged, or over the cap.
    """
    if isinstance(source, np.ndarray):
        return Reduced(_from_array(source), 1, (0, 0))
    with opened(source) as (stream, what):
        return decode_reduced(stream, what=what, max_pixels=max_pixels, least_px=least_px)


def image_size_hw(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[int, int]:
    """Height and width of the upright picture, from the file's header.

    Nothing is decoded: the pixels may be damaged, or more than anybody has memory for.

    Raises:
        ImageError: missing, unreadable, empty, or no image.
    """
    with opened(source) as (stream, what), read_header(stream, what=what) as picture:
        width, height = picture.size
        is_turned = exif_orientation(picture, stream) in SIDEWAYS
    return (width, height) if is_turned else (height, width)


def decode_png(data: bytes) -> Image:
    """The image that `encode_png` wrote, or an error: every checksum in the PNG is verified.

    Raises:
        ImageError: not a PNG, or not the bytes that were written.
    """
    what = "the given PNG"
    with named_damage(what), PillowImage.open(io.BytesIO(data), formats=["PNG"]) as picture:
        picture.verify()  # the checksum of every chunk but the last; decoding alone lets some damage pass
    if not data.endswith(_PNG_END):
        raise ImageError(f"{what} is truncated or damaged: it does not end as every PNG does")
    return decode(io.BytesIO(data), what=what, max_pixels=DEFAULT_MAX_PIXELS)


def _from_array(array: NDArray[Any]) -> Image:
    if array.ndim not in {2, 3} or array.size == 0 or (array.ndim == 3 and array.shape[2] not in {1, 3, 4}):
        is_channels_first = array.ndim == 3 and array.shape[0] in {1, 3, 4} and array.size > 0
        raise ImageError(
            "an image array must have shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) and at least one "
            f"pixel, got {array.shape}"
            + ("; array.transpose(1, 2, 0) moves the channels last" if is_channels_first else "")
        )
    pixels = _as_8_bit(array)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return gray_to_rgb(pixels.reshape(pixels.shape[:2]))
    if pixels.shape[2] == 4:
        return on_white(PillowImage.fromarray(pixels))
    return np.ascontiguousarray(pixels)


def _as_8_bit(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        return high_bytes(array)
    if array.dtype == np.bool_:
        return array * np.uint8(255)
    held = f" with values from {array.min():g} to {array.max():g}" if array.dtype.kind in "iuf" else ""
    raise ImageError(
        f"an image array must be uint8 (0..255), uint16 (0..65535) or bool, got {array.dtype}{held}: which "
        "value is white? Scale it to 0..255, round it, and convert it with .astype(numpy.uint8)"
    )
