"""The size of a picture is known before its pixels are decoded."""

import io
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from vultus.errors import ImageError
from vultus.image import image_size_hw, load_image


def jpeg(orientation: int) -> bytes:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    PillowImage.new("RGB", (60, 40)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_loaded_picture(orientation: int) -> None:
    data = jpeg(orientation)
    assert image_size_hw(data) == load_image(data).shape[:2]
    assert image_size_hw(data) == ((40, 60) if orientation < 5 else (60, 40))


def test_the_pixels_need_not_be_there() -> None:
    assert image_size_hw(jpeg(1)[:-5]) == (40, 60)


def test_what_is_no_picture_has_no_size(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no file"):
        image_size_hw(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="is not an image"):
        image_size_hw(b"just some text, which is no image")
