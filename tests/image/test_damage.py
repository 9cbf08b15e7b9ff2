"""Damaged files: an image or an `ImageError`, never another exception, and never a warning."""

import io
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags
from PIL import Image as PillowImage

from vultus.errors import ImageError
from vultus.image import decode_png, encode_png, load_image


def encoded(picture: PillowImage.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def made() -> Mapping[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    picture = PillowImage.fromarray(cv2.blur(noise, (7, 7)))
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.ImageDescription] = "somebody"
    several = {"save_all": True, "append_images": [picture.rotate(90)]}
    return {
        "JPEG": encoded(picture, "JPEG", exif=exif),
        "progressive JPEG": encoded(picture, "JPEG", progressive=True, exif=exif),
        "CMYK JPEG": encoded(picture.convert("CMYK"), "JPEG"),
        "MPO": encoded(picture, "MPO", exif=exif, **several),
        "PNG": encoded(picture, "PNG", exif=exif),
        "palette PNG": encoded(picture.quantize(16), "PNG", transparency=3),
        "animated PNG": encoded(picture, "PNG", **several),
        "WebP": encoded(picture, "WEBP", exif=exif),
        "lossless WebP": encoded(picture.convert("RGBA"), "WEBP", lossless=True),
        "GIF": encoded(picture, "GIF", **several),
        "BMP": encoded(picture, "BMP"),
        "TIFF": encoded(picture, "TIFF", exif=exif),
        "compressed TIFF": encoded(picture, "TIFF", compression="tiff_lzw"),
        "JPEG 2000": encoded(picture, "JPEG2000"),
        "PPM": encoded(picture, "PPM"),
    }


FILES = made()
names = st.sampled_from(sorted(FILES))


def check_image_or_error(data: bytes) -> None:
    try:
        image = load_image(data)
    except ImageError as error:
        assert str(error).startswith("the given data ")  # noqa: PT017 -- an image is as good an answer
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.size > 0


@pytest.mark.parametrize("name", FILES)
def test_the_undamaged_files_are_read(name: str) -> None:
    assert sorted(load_image(FILES[name]).shape) == [3, 40, 60]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("part", [0.02, 0.2, 0.5, 0.8, 0.95])
def test_a_truncated_file_is_refused(name: str, part: float) -> None:
    frames = 2 if name in {"MPO", "animated PNG", "GIF"} else 1  # losing the second one would be no loss
    with pytest.raises(ImageError, match=r"the given data is (truncated or damaged: .|not an image)"):
        load_image(FILES[name][: int(len(FILES[name]) * part / frames)])


@pytest.mark.parametrize("name", ["JPEG", "progressive JPEG", "CMYK JPEG"])
def test_a_jpeg_is_refused_wherever_its_last_bytes_are_missing(name: str) -> None:
    for missing in range(1, 60):
        with pytest.raises(ImageError, match="truncated"):
            load_image(FILES[name][:-missing])


@given(name=names, part=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_any_truncation_gives_an_image_or_an_image_error(name: str, part: float) -> None:
    check_image_or_error(FILES[name][: int(len(FILES[name]) * part)])


@given(name=names, bits=st.lists(st.integers(0, 2**20), min_size=1, max_size=8), in_header=st.booleans())
@settings(max_examples=300, deadline=None)
def test_flipped_bits_give_an_image_or_an_image_error(name: str, bits: list[int], in_header: bool) -> None:
    data = bytearray(FILES[name])
    reach = 8 * min(len(data), 300 if in_header else len(data))
    for bit in bits:
        data[bit % reach // 8] ^= 1 << bit % 8
    check_image_or_error(bytes(data))


@given(name=names, at=st.floats(0, 1), junk=st.binary(min_size=1, max_size=40), cut=st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_bytes_put_in_or_cut_out_give_an_image_or_an_image_error(
    name: str, at: float, junk: bytes, cut: int
) -> None:
    data = FILES[name]
    start = int(len(data) * at)
    check_image_or_error(data[:start] + junk + data[start + cut :])


@given(data=st.binary(max_size=300))
@example(b"")
@example(b"\0")
@settings(max_examples=100, deadline=None)
def test_random_bytes_give_an_image_or_an_image_error(data: bytes) -> None:
    check_image_or_error(data)


@given(name=names, kept=st.integers(2, 40), data=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_behind_a_true_signature_give_an_image_or_an_image_error(
    name: str, kept: int, data: bytes
) -> None:
    check_image_or_error(FILES[name][:kept] + data)


def test_every_single_flipped_bit_of_a_stored_crop_is_found() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    good = encode_png(image)
    np.testing.assert_array_equal(decode_png(good), image)
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ImageError, match=r"the given PNG is truncated or damaged: ."):
            decode_png(bytes(data))


def test_a_stored_crop_that_was_cut_anywhere_is_refused() -> None:
    good = encode_png(np.zeros((6, 5, 3), np.uint8))
    for length in range(len(good)):
        with pytest.raises(ImageError, match="the given PNG"):
            decode_png(good[:length])


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", FILES["JPEG"]], ids=["nothing", "a start", "a JPEG"])
def test_what_is_no_png_is_no_stored_crop(data: bytes) -> None:
    with pytest.raises(ImageError, match="the given PNG is"):
        decode_png(data)
