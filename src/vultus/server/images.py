"""From uploaded bytes to images, with every limit checked before a pixel is decoded."""

from collections.abc import Sequence
from io import BytesIO

from vultus.errors import ImageError, TooLargeError
from vultus.image import load_image
from vultus.image.decode import read_header
from vultus.server.deadline import check_deadline
from vultus.server.settings import Settings
from vultus.types import Image


def decode_images(files: Sequence[bytes], settings: Settings) -> list[Image]:
    """The upright images.

    Raises:
        TooLargeError: more images, or more pixels together, than one request may have.
        ImageError: an image that is none, damaged, or too large by itself; the message says which.
    """
    if len(files) > settings.max_images:
        raise TooLargeError(f"one request may have {settings.max_images} images, this one has {len(files)}")
    pixels = sum(_pixels(file, i, len(files), settings) for i, file in enumerate(files))
    if pixels > settings.max_request_pixels:
        raise TooLargeError(
            f"the images of one request may have {settings.max_request_pixels:,} pixels together, these have "
            f"{pixels:,}: send them one by one"
        )
    check_deadline()
    images = []
    for i, file in enumerate(files):
        try:
            images.append(load_image(file, max_pixels=settings.max_pixels))
        except ImageError as error:
            raise _which(error, i, len(files)) from error
    return images


def _pixels(file: bytes, index: int, count: int, settings: Settings) -> int:
    """How many there are, by the file's head; which side is up, Pillow may know only after decoding a PNG."""
    try:
        with read_header(BytesIO(file), what="the given data") as picture:
            width, height = picture.size
    except ImageError as error:
        raise _which(error, index, count) from error
    if height * width > settings.max_pixels:
        raise TooLargeError(
            f"image {index + 1} is too large: {width} x {height} pixels, the cap is {settings.max_pixels:,}"
        )
    return height * width


def _which(error: ImageError, index: int, count: int) -> ImageError:
    return error if count == 1 else ImageError(f"image {index + 1}: {error}")
