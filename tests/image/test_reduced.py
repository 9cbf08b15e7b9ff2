"""Large JPEGs decoded small: how small, where the pixels lie, and what is never reduced."""

import io

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as PillowImage

from vultus.errors import ImageError
from vultus.image import load_image, load_reduced
from vultus.types import Image

HEIGHT, WIDTH = 203, 309  # no multiples of anything


def slopes() -> Image:
    """Red rises to the right, green downwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    channels = [columns * 255 / WIDTH, rows * 255 / HEIGHT, np.full((HEIGHT, WIDTH), 128)]
    return np.stack(channels, axis=2).astype(np.uint8)


def encoded(form: str = "JPEG", *, orientation: int = 1, mode: str = "RGB") -> bytes:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    options = {"quality": 98, "subsampling": 0} if form == "JPEG" else {}
    PillowImage.fromarray(slopes()).convert(mode).save(buffer, form, exif=exif, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("least_px", "factor"),
    [(None, 1), (309, 1), (155, 1), (154, 2), (78, 2), (77, 4), (39, 4), (38, 8), (1, 8)],
)
def test_a_photo_is_reduced_as_far_as_the_need_allows(least_px: int | None, factor: int) -> None:
    reduced = load_reduced(encoded(), least_px=least_px)
    assert reduced.factor == factor
    assert reduced.image.shape == (-(-HEIGHT // factor), -(-WIDTH // factor), 3)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_pixel_stands_for_its_place_in_the_whole_picture(orientation: int, factor: int) -> None:
    data = encoded(orientation=orientation)
    whole = load_image(data).astype(np.float64)
    reduced = load_reduced(data, least_px=309 // factor)
    assert reduced.factor == factor
    rows, columns = np.mgrid[2 : reduced.image.shape[0] - 2, 2 : reduced.image.shape[1] - 2]
    x = reduced.corner_xy[0] + factor * (columns + 0.5)  # the centre of each pixel, in the whole picture
    y = reduced.corner_xy[1] + factor * (rows + 0.5)
    expected = whole[np.floor(y).astype(int), np.floor(x).astype(int)]
    differences = np.abs(reduced.image[rows, columns] - expected)
    assert differences.size > 100
    assert differences.mean() < 1.5  # a shift of two pixels of the whole picture would give more
    assert np.abs((reduced.image[rows, columns] - expected).mean(axis=(0, 1))).max() < 1


def test_other_formats_are_decoded_whole() -> None:
    reduced = load_reduced(encoded("PNG"), least_px=10)
    assert (reduced.factor, reduced.corner_xy) == (1, (0, 0))
    np.testing.assert_array_equal(reduced.image, slopes())


def test_a_jpeg_that_pillow_decodes_is_decoded_whole() -> None:
    reduced = load_reduced(encoded(mode="CMYK"), least_px=10)
    assert reduced.factor == 1
    assert reduced.image.shape == (HEIGHT, WIDTH, 3)


def test_a_gray_jpeg_is_reduced_too() -> None:
    assert load_reduced(encoded(mode="L"), least_px=10).image.shape == (26, 39, 3)


def test_an_array_stays_itself() -> None:
    image = slopes()
    assert load_reduced(image, least_px=10).image is image


def test_the_cap_counts_the_whole_picture() -> None:
    with pytest.raises(ImageError, match="the cap is 60,000"):
        load_reduced(encoded(), least_px=10, max_pixels=60_000)


def test_a_truncated_photo_is_refused_reduced_or_not() -> None:
    with pytest.raises(ImageError, match="truncated or damaged"):
        load_reduced(encoded()[:-2000], least_px=10)
