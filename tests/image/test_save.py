"""Writing: what comes back, and that a file is replaced whole or not at all."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.errors import InputError, ShapeError
from vultus.image import decode_png, encode_png, load_image, replace_file, save_image
from vultus.types import Image


@pytest.fixture
def image() -> Image:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.dstack([rows * 5, columns * 3, 255 - rows * 2]).astype(np.uint8)


@pytest.mark.parametrize("extension", [".png", ".PNG", ".bmp", ".tif", ".tiff"])
def test_lossless_formats_give_back_every_pixel(tmp_path: Path, image: Image, extension: str) -> None:
    save_image(image, tmp_path / f"picture{extension}")
    np.testing.assert_array_equal(load_image(tmp_path / f"picture{extension}"), image)


@pytest.mark.parametrize("extension", [".jpg", ".jpeg", ".JPG", ".webp"])
def test_lossy_formats_stay_close(tmp_path: Path, image: Image, extension: str) -> None:
    path = tmp_path / f"picture{extension}"
    save_image(image, str(path))
    assert np.abs(load_image(path).astype(int) - image).mean() < 1.5


def test_jpeg_keeps_fine_coloured_detail(tmp_path: Path) -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = (220, 40, 40)
    stripes[:, 1::2] = (40, 40, 220)
    save_image(stripes, tmp_path / "stripes.jpg")
    assert np.abs(load_image(tmp_path / "stripes.jpg").astype(int) - stripes).mean() < 4


@pytest.mark.parametrize(
    ("extension", "form"),
    [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".bmp", "BMP"), (".tiff", "TIFF")],
)
def test_the_extension_names_the_format(tmp_path: Path, image: Image, extension: str, form: str) -> None:
    save_image(image, tmp_path / f"picture{extension}")
    with PillowImage.open(tmp_path / f"picture{extension}") as picture:
        assert picture.format == form


def test_an_image_in_any_memory_layout_is_written_as_it_looks(tmp_path: Path, image: Image) -> None:
    save_image(image[:, ::-1], tmp_path / "mirrored.png")
    np.testing.assert_array_equal(load_image(tmp_path / "mirrored.png"), image[:, ::-1])


def test_a_png_in_memory_gives_back_every_pixel(image: Image) -> None:
    data = encode_png(image)
    assert data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(decode_png(data), image)


def test_names_need_not_be_ascii(tmp_path: Path, image: Image) -> None:
    save_image(image, tmp_path / "顔 Müller.png")
    assert [path.name for path in tmp_path.iterdir()] == ["顔 Müller.png"]


def test_an_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, image: Image) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    save_image(image, path)
    np.testing.assert_array_equal(load_image(path), image)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_the_file_gets_the_permissions_of_any_new_file(tmp_path: Path, image: Image) -> None:
    (tmp_path / "ordinary").touch()
    save_image(image, tmp_path / "picture.png")
    ordinary = stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "picture.png").stat().st_mode) == ordinary


@pytest.mark.parametrize(
    "name", ["picture", "picture.xyz", "picture.png.bak", ".png", "picture.gif", "picture."]
)
def test_an_extension_that_names_no_format_is_refused(tmp_path: Path, image: Image, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot tell an image format .* expected one of \.png \.jpg"):
        save_image(image, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
    ],
    ids=["gray", "float", "empty", "RGBA"],
)
def test_only_images_are_written(tmp_path: Path, array: Image) -> None:
    with pytest.raises(ShapeError):
        save_image(array, tmp_path / "picture.png")
    with pytest.raises(ShapeError):
        encode_png(array)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path, image: Image) -> None:
    with pytest.raises(
        InputError, match=r"cannot write '.*nowhere.*picture\.png': No such file or directory"
    ):
        save_image(image, tmp_path / "nowhere" / "picture.png")


def test_a_null_byte_and_a_name_too_long_are_refused(tmp_path: Path, image: Image) -> None:
    with pytest.raises(InputError, match="null byte"):
        save_image(image, f"{tmp_path}/a\0b.png")
    with pytest.raises(InputError, match="cannot write"):
        save_image(image, tmp_path / ("x" * 400 + ".png"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_more_pixels_in_a_row_than_the_format_can_count_are_refused(tmp_path: Path, extension: str) -> None:
    with pytest.raises(InputError, match=r"70000 x 1 pixels cannot be written as (JPEG|WEBP)"):
        save_image(np.zeros((1, 70_000, 3), np.uint8), tmp_path / f"long{extension}")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_not_replaced(tmp_path: Path, image: Image) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="not an ordinary file"):
        save_image(image, tmp_path / "folder.png")
    assert (tmp_path / "folder.png").is_dir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_device_or_pipe_is_not_replaced(tmp_path: Path, image: Image) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="not an ordinary file"):
        save_image(image, tmp_path / "pipe.png")
    assert (tmp_path / "pipe.png").is_fifo()


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replace_file(path) as stream:  # noqa: PT012 -- the block is what is tested
        stream.write(b"half of the n")
        raise KeyError("something else went wrong")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with replace_file(path) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
