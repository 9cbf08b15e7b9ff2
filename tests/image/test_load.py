"""Every kind of pixel, every orientation and every container comes out as the same upright RGB."""

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, ImageCms, features
from PIL import Image as PillowImage

from vultus.errors import ImageError
from vultus.image import load_image
from vultus.types import Image

RED, GREEN, BLUE, YELLOW = (220, 30, 40), (40, 180, 60), (30, 60, 200), (230, 220, 70)
SKIN = (200, 140, 110)


def encoded(picture: PillowImage.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def by_opencv(extension: str, array: NDArray[Any]) -> bytes:
    is_written, data = cv2.imencode(extension, array)
    assert is_written
    return data.tobytes()


def plain(mode: str, colour: Any) -> PillowImage.Image:
    return PillowImage.new(mode, (24, 16), colour)


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    body = [struct.pack(">I", len(data)) + name + data for name, data in chunks]
    checked = [chunk + struct.pack(">I", zlib.crc32(chunk[4:])) for chunk in body]
    return b"\x89PNG\r\n\x1a\n" + b"".join(checked)


def png_of_one_pixel(bits: int, colour_type: int, pixel: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 1, 1, bits, colour_type, 0, 0, 0)
    return png_chunks((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + pixel)), (b"IEND", b""))


def check_is_image(image: Image) -> None:
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.flags.c_contiguous
    assert image.flags.writeable


# ---- kinds of pixel ----


def gray_16() -> NDArray[np.uint16]:
    return np.full((16, 24), 30_000, np.uint16)


def bgr_16() -> NDArray[np.uint16]:
    return np.full((16, 24, 3), (10_000, 30_000, 60_000), np.uint16)


def bgra_16() -> NDArray[np.uint16]:
    return np.dstack([bgr_16(), np.full((16, 24), 65_535, np.uint16)])


def lab() -> bytes:
    srgb, lab_profile = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.profileToProfile(plain("RGB", SKIN), srgb, lab_profile, outputMode="LAB")
    assert picture is not None
    return encoded(picture, "TIFF")


def palette_with_a_hole() -> bytes:
    picture = PillowImage.new("P", (24, 16), 1)
    picture.putpalette([*RED, *SKIN, *BLUE])
    picture.paste(0, (0, 0, 12, 16))
    return encoded(picture, "PNG", transparency=0)


def cmyk_jpeg_without_adobe_marker() -> bytes:
    """Ink as it is, where Adobe stores 255 minus ink, and Pillow writes like Adobe."""
    stored_as_written = PillowImage.new("CMYK", (24, 16), (200, 140, 110, 255))
    data = encoded(stored_as_written, "JPEG", quality=100)
    start = data.index(b"\xff\xee")
    (length,) = struct.unpack(">H", data[start + 2 : start + 4])
    return data[:start] + data[start + 2 + length :]


KINDS: dict[str, tuple[Callable[[], bytes], Sequence[int], int]] = {
    # what: (the file, its colour, by how much a channel may differ)
    "black and white PNG": (lambda: encoded(plain("1", 1), "PNG"), (255, 255, 255), 0),
    "black and white TIFF": (lambda: encoded(plain("1", 0), "TIFF"), (0, 0, 0), 0),
    "gray PNG": (lambda: encoded(plain("L", 120), "PNG"), (120, 120, 120), 0),
    "gray PNG of 2 bits": (lambda: png_of_one_pixel(2, 0, b"\x80"), (170, 170, 170), 0),
    "gray JPEG": (lambda: encoded(plain("L", 120), "JPEG"), (120, 120, 120), 1),
    "gray and alpha, opaque": (lambda: encoded(plain("LA", (120, 255)), "PNG"), (120, 120, 120), 0),
    "gray and alpha, half": (lambda: encoded(plain("LA", (0, 128)), "PNG"), (127, 127, 127), 1),
    "gray with a transparent gray": (lambda: encoded(plain("L", 7), "PNG", transparency=7), (255,) * 3, 0),
    "RGB PNG": (lambda: encoded(plain("RGB", SKIN), "PNG"), SKIN, 0),
    "RGB with a transparent colour": (
        lambda: encoded(plain("RGB", SKIN), "PNG", transparency=SKIN),
        (255, 255, 255),
        0,
    ),
    "RGBA, opaque": (lambda: encoded(plain("RGBA", (*SKIN, 255)), "PNG"), SKIN, 0),
    "RGBA, invisible": (lambda: encoded(plain("RGBA", (*SKIN, 0)), "PNG"), (255, 255, 255), 0),
    "RGBA, half": (lambda: encoded(plain("RGBA", (0, 100, 255, 128)), "PNG"), (127, 177, 255), 1),
    "palette PNG": (lambda: encoded(plain("RGB", SKIN).quantize(4), "PNG"), SKIN, 0),
    "palette GIF": (lambda: encoded(plain("RGB", SKIN), "GIF"), SKIN, 4),
    "16-bit gray PNG": (lambda: by_opencv(".png", gray_16()), (117, 117, 117), 0),
    "16-bit gray TIFF": (lambda: by_opencv(".tiff", gray_16()), (117, 117, 117), 0),
    "16-bit gray PGM": (lambda: by_opencv(".pgm", gray_16()), (117, 117, 117), 1),
    "16-bit gray and alpha PNG": (
        lambda: png_of_one_pixel(16, 4, struct.pack(">HH", 30_000, 65_535)),
        (117, 117, 117),
        0,
    ),
    "16-bit RGB PNG": (lambda: by_opencv(".png", bgr_16()), (234, 117, 39), 0),
    "16-bit RGB TIFF": (lambda: by_opencv(".tiff", bgr_16()), (234, 117, 39), 0),
    "16-bit RGB PPM": (lambda: by_opencv(".ppm", bgr_16()), (233, 117, 39), 1),
    "16-bit RGBA PNG": (lambda: by_opencv(".png", bgra_16()), (234, 117, 39), 0),
    "16-bit RGBA TIFF": (lambda: by_opencv(".tiff", bgra_16()), (234, 117, 39), 0),
    "32-bit gray TIFF, 8 bits used": (lambda: encoded(plain("I", 120), "TIFF"), (120, 120, 120), 0),
    "32-bit gray TIFF, 16 bits used": (lambda: encoded(plain("I", 30_000), "TIFF"), (117, 117, 117), 0),
    "float TIFF up to 1": (lambda: encoded(plain("F", 0.5), "TIFF"), (128, 128, 128), 1),
    "float TIFF up to 255": (lambda: encoded(plain("F", 120.0), "TIFF"), (120, 120, 120), 0),
    "float TIFF up to 65535": (lambda: encoded(plain("F", 30_000.0), "TIFF"), (117, 117, 117), 0),
    "CMYK JPEG as Adobe writes it": (
        lambda: encoded(plain("CMYK", (55, 115, 145, 0)), "JPEG", quality=100),
        SKIN,
        2,
    ),
    "CMYK JPEG that is not inverted": (cmyk_jpeg_without_adobe_marker, SKIN, 2),
    "CMYK TIFF": (lambda: encoded(plain("CMYK", (55, 115, 145, 0)), "TIFF"), SKIN, 0),
    # Compressed, as scanners write it: Pillow before 13 cannot read its own uncompressed ones back.
    "YCbCr TIFF": (
        lambda: encoded(plain("RGB", SKIN).convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        SKIN,
        3,
    ),
    "LAB TIFF": (lab, SKIN, 3),
    "JPEG": (lambda: encoded(plain("RGB", SKIN), "JPEG"), SKIN, 2),
    "progressive JPEG": (lambda: encoded(plain("RGB", SKIN), "JPEG", progressive=True), SKIN, 2),
    "JPEG that holds RGB": (lambda: encoded(plain("RGB", SKIN), "JPEG", keep_rgb=True), SKIN, 2),
    "WebP": (lambda: encoded(plain("RGB", SKIN), "WEBP"), SKIN, 5),
    "WebP with alpha": (lambda: encoded(plain("RGBA", (*SKIN, 0)), "WEBP", exact=True), (255, 255, 255), 0),
    "JPEG 2000": (lambda: encoded(plain("RGB", SKIN), "JPEG2000"), SKIN, 1),
    "BMP": (lambda: encoded(plain("RGB", SKIN), "BMP"), SKIN, 0),
    "PPM": (lambda: encoded(plain("RGB", SKIN), "PPM"), SKIN, 0),
    "TIFF": (lambda: encoded(plain("RGB", SKIN), "TIFF", compression="tiff_lzw"), SKIN, 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pixel_becomes_its_rgb_colour(kind: str) -> None:
    make, colour, tolerance = KINDS[kind]
    image = load_image(make())
    check_is_image(image)
    assert np.abs(image.astype(int) - colour).max() <= tolerance


def test_a_palette_with_a_transparent_entry_shows_white_there_and_its_colours_elsewhere() -> None:
    image = load_image(palette_with_a_hole())
    assert (image[:, :12] == 255).all()
    assert (image[:, 12:] == SKIN).all()


@pytest.mark.skipif("avif" not in features.get_supported(), reason="this Pillow was built without AVIF")
def test_avif_is_read() -> None:
    assert np.abs(load_image(encoded(plain("RGB", SKIN), "AVIF")).astype(int) - SKIN).max() <= 5


def test_16_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65_535, 256).round().astype(np.uint16)[np.newaxis]
    image = load_image(by_opencv(".png", ramp))
    np.testing.assert_array_equal(image[0, :, 0], np.arange(256))


@pytest.mark.parametrize(
    "values", [-0.1, 70_000.0, np.nan, np.inf], ids=["negative", "beyond 16 bits", "nan", "infinite"]
)
def test_floats_whose_white_cannot_be_told_are_refused(values: float) -> None:
    with pytest.raises(ImageError, match=r"the given data has 32-bit pixels from .*8 or 16 bits"):
        load_image(encoded(plain("F", values), "TIFF"))


def test_integers_whose_white_cannot_be_told_are_refused() -> None:
    with pytest.raises(ImageError, match="white cannot be told"):
        load_image(encoded(plain("I", 2_000_000), "TIFF"))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_frame_of_several_is_taken(form: str) -> None:
    first, second = plain("RGB", SKIN), plain("RGB", BLUE)
    data = encoded(first, form, save_all=True, append_images=[second])
    assert np.abs(load_image(data).astype(int) - SKIN).max() <= 5


# ---- orientation ----

# Where the quadrants of the upright picture (a b / c d) lie in the stored one, as EXIF 2.32 defines the tag:
# "row 0 is the visual top / bottom / left side ..., column 0 is the visual left / right side / top ...".
STORED_AS = {1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "bdac", 7: "dbca", 8: "cadb"}
QUADRANTS = {"a": RED, "b": GREEN, "c": BLUE, "d": YELLOW}
UPRIGHT_WH = (48, 32)


def quadrants(order: str, size_wh: tuple[int, int]) -> PillowImage.Image:
    width, height = size_wh
    picture = PillowImage.new("RGB", size_wh)
    for i, letter in enumerate(order):
        left, top = (i % 2) * width // 2, (i // 2) * height // 2
        picture.paste(QUADRANTS[letter], (left, top, left + width // 2, top + height // 2))
    return picture


def oriented(orientation: int) -> tuple[PillowImage.Image, PillowImage.Exif]:
    size_wh = UPRIGHT_WH if orientation < 5 else UPRIGHT_WH[::-1]
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return quadrants(STORED_AS[orientation], size_wh), exif


def check_is_upright(image: Image) -> None:
    check_is_image(image)
    assert image.shape == (32, 48, 3)
    centres = image[8::16, 12::24].reshape(4, 3).astype(int)  # a b c d
    assert np.abs(centres - list(QUADRANTS.values())).max() <= 12


def jpeg(picture: PillowImage.Image, exif: PillowImage.Exif) -> bytes:
    return encoded(picture, "JPEG", exif=exif, quality=95, subsampling=0)


CONTAINERS: dict[str, Callable[[PillowImage.Image, PillowImage.Exif], bytes]] = {
    "JPEG": jpeg,
    "JPEG with a byte behind its end": lambda picture, exif: jpeg(picture, exif) + b"\0",
    "CMYK JPEG": lambda picture, exif: jpeg(picture.convert("CMYK"), exif),
    "MPO": lambda picture, exif: encoded(
        picture, "MPO", exif=exif, save_all=True, append_images=[picture], quality=95
    ),
    "PNG": lambda picture, exif: encoded(picture, "PNG", exif=exif),
    "WebP": lambda picture, exif: encoded(picture, "WEBP", exif=exif, lossless=True),
    "TIFF": lambda picture, exif: encoded(picture, "TIFF", exif=exif),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("orientation", STORED_AS)
def test_every_exif_orientation_comes_out_upright(orientation: int, container: str) -> None:
    check_is_upright(load_image(CONTAINERS[container](*oriented(orientation))))


def test_exif_that_follows_the_pixels_of_a_png_counts() -> None:
    picture, exif = oriented(6)
    chunk = struct.pack(">I", len(exif.tobytes()) - 6) + b"eXIf" + exif.tobytes()[6:]
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    data = encoded(picture, "PNG")
    check_is_upright(load_image(data[:-12] + chunk + data[-12:]))


@pytest.mark.parametrize("value", [0, 9, 77, 65_535])
def test_an_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    picture, exif = oriented(1)
    exif[ExifTags.Base.Orientation] = value
    check_is_upright(load_image(jpeg(picture, exif)))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"rubbish",
        b"MM\x00*\x00\x00\xff\xff",
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02\x00\x00\x00\x04six\x00",  # a text for a number
        b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 40,
    ],
    ids=["no TIFF", "cut short", "text", "thousands of entries"],
)
def test_exif_that_cannot_be_read_leaves_the_picture_as_stored(exif: bytes, form: str) -> None:
    picture, _ = oriented(1)
    check_is_upright(load_image(encoded(picture, form, exif=b"Exif\0\0" + exif, quality=95)))


def test_a_tiff_with_a_broken_entry_in_its_metadata_is_read_without_a_warning() -> None:
    picture, exif = oriented(6)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:21 10:11:12"
    data = encoded(picture, "TIFF", exif=exif.tobytes())
    entry = struct.pack("<HHI", ExifTags.Base.DateTimeOriginal, 2, 20)
    assert data.count(entry) == 1
    check_is_upright(load_image(data.replace(entry, entry[:4] + b"\xff\xff\xff\x7f")))


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("size_wh", [(1, 1), (1, 7), (7, 1)])
def test_pictures_of_one_pixel_in_a_row_or_column_are_turned_too(
    size_wh: tuple[int, int], orientation: int
) -> None:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = load_image(jpeg(PillowImage.new("RGB", size_wh, SKIN), exif))
    check_is_image(image)
    assert image.shape[:2] == (size_wh[::-1] if orientation < 5 else size_wh)


# ---- two decoders, one answer ----


def test_opencv_and_pillow_decode_real_jpegs_to_the_same_pixels(photos: Path) -> None:
    files = {file.name: file.read_bytes() for file in photos.glob("*.jpg")}
    complete = {name: data for name, data in files.items() if data.endswith(b"\xff\xd9")}  # for OpenCV
    assert len(complete) > 10
    for name, data in complete.items():
        fast, slow = load_image(data), load_image(data + b"\0")
        assert fast.shape == slow.shape
        difference = np.abs(fast.astype(np.int16) - slow)
        assert difference.max() <= 3, name
        assert difference.mean() < 0.05, name


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size_wh", [(1, 1), (17, 9), (64, 48)])
def test_opencv_and_pillow_agree_at_every_subsampling_and_odd_sizes(
    size_wh: tuple[int, int], subsampling: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    smooth = PillowImage.fromarray(cv2.blur(noise, (5, 5)))
    data = encoded(smooth, "JPEG", quality=85, subsampling=subsampling)
    assert np.abs(load_image(data).astype(int) - load_image(data + b"\0")).max() <= 3


def test_the_real_rgba_photo_shows_white_where_it_is_transparent(photos: Path) -> None:
    file = photos / "rgba-32bit.png"
    with PillowImage.open(file) as picture:
        rgba = np.asarray(picture)
    assert rgba.shape[2] == 4
    image = load_image(file)
    alpha = rgba[:, :, 3:] / 255
    np.testing.assert_allclose(image, rgba[:, :, :3] * alpha + 255 * (1 - alpha), atol=1.01)


# ---- threads and warnings ----


@contextmanager
def often_switching_threads() -> Iterator[None]:
    """Makes a race between threads likely."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_threads_get_the_same_pixels_as_one_caller_and_the_warning_filters_survive() -> None:
    gradient = np.dstack([np.tile(np.arange(64, dtype=np.uint8), (48, 1))] * 3)
    picture = PillowImage.fromarray(gradient)
    files = [encoded(picture, form) for form in ("JPEG", "PNG", "WEBP", "TIFF", "GIF")] * 40
    expected = [load_image(data) for data in files]
    filters = list(warnings.filters)
    with often_switching_threads(), ThreadPoolExecutor(8) as pool:
        images = list(pool.map(load_image, files))
    assert list(warnings.filters) == filters
    for image, alone in zip(images, expected, strict=True):
        np.testing.assert_array_equal(image, alone)
