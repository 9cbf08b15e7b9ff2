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
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, ImageFile
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngImageFile

from vultus.errors import ImageError
from vultus.image.png import without_pixels
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

_REDUCED: Mapping[int, int] = {  # the largest first
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
SIDEWAYS = range(5, 9)  # the EXIF orientations that swap height and width
_RIGHT_TO_LEFT = (2, 3, 6, 7)  # those that bring the last column, or the last row, to the left
_BOTTOM_TO_TOP = (3, 4, 7, 8)
_TURNS: Mapping[int, Callable[[Image], object]] = {  # EXIF orientation -> what brings the picture upright
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


class Reduced(NamedTuple):
    """A picture that was decoded smaller than it is.

    Attributes:
        image: (H, W, 3) uint8, RGB, upright.
        factor: each pixel stands for `factor` x `factor` of the whole picture.
        corner_xy: where in the whole picture the image's corner lies: 0, or less by up to `factor` - 1 where
            a last pixel that is only partly covered has been turned to the left or to the top.
    """

    image: Image
    factor: int
    corner_xy: tuple[int, int]


def decode(stream: BinaryIO, *, what: str, max_pixels: int) -> Image:
    """The upright RGB pixels of an encoded image.

    Args:
        stream: seekable, at its first byte.
        what: how messages name the image.
        max_pixels: width times height above which nothing is decoded.

    Raises:
        ImageError: empty, no image, over the cap, truncated or damaged.
    """
    return decode_reduced(stream, what=what, max_pixels=max_pixels, least_px=None).image


def decode_reduced(stream: BinaryIO, *, what: str, max_pixels: int, least_px: int | None) -> Reduced:
    """The same at a half, a quarter or an eighth of its size, where that is all that is needed.

    The decoder of a JPEG then skips most of its work. Other formats are decoded whole.

    Args:
        stream: seekable, at its first byte.
        what: how messages name the image.
        max_pixels: width times height, of the whole picture, above which nothing is decoded.
        least_px: the longer side may become no smaller than this; None keeps the size.

    Raises:
        ImageError: empty, no image, over the cap, truncated or damaged.
    """
    with read_header(stream, what=what) as picture:
        check_size(picture.size, what=what, max_pixels=max_pixels)
        with named_damage(what):
            factor = _factor(max(picture.size), least_px)
            pixels, factor = _decode_pixels(picture, stream, what=what, factor=factor)
            orientation = exif_orientation(picture)
    turn = _TURNS.get(orientation)
    upright = pixels if turn is None else np.asarray(turn(pixels), dtype=np.uint8)
    width, height = picture.size if orientation not in SIDEWAYS else picture.size[::-1]
    return Reduced(
        upright,
        factor,
        (
            width - factor * upright.shape[1] if orientation in _RIGHT_TO_LEFT else 0,
            height - factor * upright.shape[0] if orientation in _BOTTOM_TO_TOP else 0,
        ),
    )


def _factor(longest_px: int, least_px: int | None) -> int:
    """The largest that leaves at least so much."""
    if least_px is None:
        return 1
    return next((factor for factor in _REDUCED if longest_px // factor >= least_px), 1)


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


def _decode_pixels(
    picture: ImageFile.ImageFile, stream: BinaryIO, *, what: str, factor: int
) -> tuple[Image, int]:
    """The pixels, not yet turned, and the factor by which they are reduced after all."""
    if picture.format in {"JPEG", "MPO"} and picture.mode in {"RGB", "L"}:
        stream.seek(0)
        data = stream.read()
        if data.endswith(_JPEG_END):
            encoded = np.frombuffer(data, np.uint8)
            flags = _REDUCED.get(factor, cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
            bgr = cv2.imdecode(encoded, flags)
            if bgr is not None:
                return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8), factor
    reads_metadata_too = picture.format == "TIFF"
    with _without_warnings() if reads_metadata_too else nullcontext():
        picture.load()
    return to_rgb(picture, what=what), 1


def exif_orientation(picture: ImageFile.ImageFile, stream: BinaryIO | None = None) -> int:
    """1 to 8; 1 (upright) where there is no EXIF, or none that can be read, as in every viewer.

    Args:
        picture: opened, its pixels decoded or not.
        stream: where it comes from, if the pixels are not to be decoded. Only for a PNG does that matter.
    """
    try:
        with _without_warnings():
            if stream is not None and picture.format == "PNG":
                picture = PngImageFile(without_pixels(stream))
                return int(PillowImage.Image.getexif(picture).get(ExifTags.Base.Orientation, 1))
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
