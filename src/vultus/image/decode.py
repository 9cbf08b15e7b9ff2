"""A stream of bytes -> upright RGB.

Pillow reads the header and tells format, mode and size before a pixel is decoded; there the cap is checked.
An ordinary JPEG that ends as it should is then decoded by OpenCV, in half of Pillow's time and to the same
pixels; everything else by Pillow, which refuses a truncated file where OpenCV 4 fills the rest with gray.
"""

import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

import cv2
import numpy as np
from PIL import ExifTags, ImageFile
from PIL import Image as PillowImage

from vultus.errors import ImageError
from vultus.image.rgb import to_rgb
from vultus.types import Image

# No format that runs a program (EPS), and none without a signature (TGA), for which any bytes would pass.
# HEIF is for those who have called `pillow_heif.register_heif_opener()`.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF", "JPEG2000", "PPM")
_SIGNATURE_BYTES = 16
_JPEG_END = b"\xff\xd9"
_ONE_AT_A_TIME = threading.Lock()

_HINTS: Mapping[bytes, str] = {  # bytes 4..12 or 0..4 of what people often try
    b"ftypheic": "a HEIC photo: save it as JPEG, or install pillow-heif and call its register_heif_opener()",
    b"ftypmp42": "a video: cut out a frame first",
    b"ftypisom": "a video: cut out a frame first",
    b"%PDF": "a PDF: export the page as an image first",
}

_TURNS: Mapping[int, Callable[[Image], object]] = {  # EXIF orientation -> what brings the picture upright
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def decode(stream: BinaryIO, *, what: str, max_pixels: int) -> Image:
    """The upright RGB pixels of an encoded image.

    Args:
        stream: seekable, at its first byte.
        what: how messages name the image.
        max_pixels: width times height above which nothing is decoded.

    Raises:
        ImageError: empty, no image, over the cap, truncated or damaged.
    """
    with read_header(stream, what=what) as picture:
        check_size(picture.size, what=what, max_pixels=max_pixels)
        with named_damage(what):
            pixels = _decode_pixels(picture, stream, what=what)
            turn = _TURNS.get(exif_orientation(picture))
    return pixels if turn is None else np.asarray(turn(pixels), dtype=np.uint8)


def read_header(stream: BinaryIO, *, what: str) -> ImageFile.ImageFile:
    """Format, mode and size; nothing is decoded yet.

    `PIL.Image.open` is not used because it enforces a pixel cap of its own, which our callers cannot raise.

    Raises:
        ImageError: empty, of no format that is read here, or with a damaged header.
    """
    with named_damage(what):
        signature = stream.read(_SIGNATURE_BYTES)
    if not signature:
        raise ImageError(f"{what} is empty: it holds no bytes")
    PillowImage.init()  # finds the plugins, once
    for name in _FORMATS:
        opener, accepts = PillowImage.OPEN.get(name, (None, None))
        if opener is not None and accepts is not None and accepts(signature) is True:
            stream.seek(0)
            with named_damage(what), _without_warnings():
                return opener(stream, "")
    guess = (
        _HINTS.get(signature[4:12])
        or _HINTS.get(signature[:4])
        or "expected JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF"
    )
    raise ImageError(f"{what} is not an image that can be read here ({guess})")


def check_size(size_wh: tuple[int, int], *, what: str, max_pixels: int) -> None:
    """Refuse an image that is too large.

    Raises:
        ImageError: with its size, and the cap.
    """
    width, height = size_wh
    if width * height > max_pixels:
        raise ImageError(
            f"{what} is too large: {width} x {height} = {width * height:,} pixels, "
            f"the cap is {max_pixels:,}; scale it down, or raise max_pixels"
        )


@contextmanager
def named_damage(what: str) -> Iterator[None]:
    """Whatever a decoder stumbles over becomes an `ImageError` that names the image."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # damaged files make Pillow's parsers raise a dozen types with no common root
        raise ImageError(f"{what} is truncated or damaged: {str(error) or type(error).__name__}") from error


def _decode_pixels(picture: ImageFile.ImageFile, stream: BinaryIO, *, what: str) -> Image:
    if picture.format in {"JPEG", "MPO"} and picture.mode in {"RGB", "L"}:
        stream.seek(0)
        data = stream.read()
        if data.endswith(_JPEG_END):
            encoded = np.frombuffer(data, np.uint8)
            bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            if bgr is not None:
                return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8)
    reads_metadata_too = picture.format == "TIFF"
    with _without_warnings() if reads_metadata_too else nullcontext():
        picture.load()
    return to_rgb(picture, what=what)


def exif_orientation(picture: ImageFile.ImageFile) -> int:
    """1 to 8; 1 (upright) where there is no EXIF, or none that can be read, as in every viewer."""
    try:
        with _without_warnings():
            return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Odd metadata is nothing that our callers could mend.

    `catch_warnings` changes what every thread sees, so one enters at a time, and not to decode pixels (but
    for TIFF): threads decode side by side.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
