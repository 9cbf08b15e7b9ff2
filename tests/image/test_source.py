"""Where an image is read from, and that each of the many ways to fail says which one it was."""

import gc
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.errors import ImageError, InputError
from vultus.image import DEFAULT_MAX_PIXELS, load_image


def encoded(form: str = "PNG", size_wh: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", size_wh, (200, 140, 110)).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    path.write_bytes(encoded())
    return path


# ---- what can be read ----


@pytest.mark.parametrize(
    "make",
    [
        str,
        Path,
        Path.read_bytes,
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
    ],
    ids=["str", "Path", "bytes", "bytearray", "memoryview", "file object"],
)
def test_every_source_gives_the_same_image(file: Path, make: Callable[[Path], Any]) -> None:
    image = load_image(make(file))
    assert image.shape == (16, 24, 3)
    assert (image == (200, 140, 110)).all()


@pytest.mark.parametrize(
    "name", ["Gesicht Müller.png", "写真.png", "صورة.png", "a'b\"c.png", "no extension", "x.txt"]
)
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encoded())
    assert load_image(tmp_path / name).shape == (16, 24, 3)
    assert load_image(str(tmp_path / name)).shape == (16, 24, 3)


def test_a_file_object_is_read_from_where_it_stands_and_left_open(file: Path) -> None:
    with file.open("rb") as stream:
        load_image(stream)
        assert not stream.closed
    prefixed = io.BytesIO(b"header" + encoded())
    prefixed.seek(6)
    assert load_image(prefixed).shape == (16, 24, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_although_it_cannot_be_wound_back(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        stream.write(encoded())
    with os.fdopen(reader, "rb") as stream:
        assert load_image(stream).shape == (16, 24, 3)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_a_pipe_is_read_by_its_path_too() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        stream.write(encoded())
    try:
        assert load_image(f"/dev/fd/{reader}").shape == (16, 24, 3)
    finally:
        os.close(reader)


# ---- what cannot ----


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source, **options)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nobody.jpg"
    assert refused(path) == f"there is no file {str(path)!r}"
    assert refused("") == "there is no file ''"


def test_a_file_used_as_a_folder_is_a_missing_file(file: Path) -> None:
    assert refused(file / "face.png").startswith("there is no file")


def test_a_directory_is_called_one(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{str(tmp_path)!r} is a directory, not an image: name a file in it"


@pytest.fixture
def nobody() -> Iterator[None]:
    """The test runs as somebody who may not read everything, as root may."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs POSIX permissions")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(user)


@pytest.mark.usefixtures("nobody")
def test_a_file_without_permission_is_called_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.png"
        path.write_bytes(encoded())
        path.chmod(0)
        assert refused(path) == f"no permission to read {str(path)!r}"


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert "empty.jpg' is empty" in refused(tmp_path / "empty.jpg")
    assert refused(b"") == "the given data is empty: it holds no bytes"


def test_a_file_object_at_its_end_is_told_to_rewind() -> None:
    buffer = io.BytesIO()
    buffer.write(encoded())
    assert "seek(0)" in refused(buffer)


def test_a_file_in_text_mode_is_told_to_be_binary(file: Path) -> None:
    file.write_text("no image, but text", encoding="ascii")
    with file.open(encoding="ascii") as stream:
        assert refused(stream) == f"{str(file)!r} gives str, not bytes: open it in binary mode, 'rb'"


def test_a_closed_file_is_called_unreadable(file: Path) -> None:
    with file.open("rb") as stream:
        pass
    assert "face.png' cannot be read: " in refused(stream)


def test_a_file_object_that_fails_says_why() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            raise OSError("the disk is on fire")

    assert refused(Broken()) == "the given file object cannot be read: the disk is on fire"


@pytest.mark.parametrize(
    "url", ["http://example.org/a.jpg", "https://x/y", "FTP://x", "file:///a.jpg", "data:image/png;base64,AA"]
)
def test_a_url_is_not_fetched(url: str) -> None:
    message = refused(url)
    assert "is a URL" in message
    assert "download it first" in message


@pytest.mark.parametrize("path", ["a\0b.jpg", "\ud800.jpg"])
def test_what_can_be_no_path_is_called_so_in_printable_words(path: str) -> None:
    message = refused(path)
    assert "is no path" in message
    message.encode()  # can be printed
    assert "\0" not in message


def test_a_name_that_is_too_long_is_shortened_in_the_message() -> None:
    message = refused("x" * 100_000)
    assert len(message) < 400
    assert "cannot be read: " in message


@pytest.mark.parametrize(
    "source",
    [None, 0, 3.5, ["a.jpg"], object(), PillowImage.new("RGB", (2, 2))],
    ids=lambda it: type(it).__name__,
)
def test_other_things_are_refused_by_type(source: Any) -> None:
    assert "expected a path, bytes, a file opened in binary mode or a NumPy array, got " in refused(source)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"hello, world, this is text", "expected JPEG, PNG"),
        (b"\0" * 100, "expected JPEG, PNG"),
        (b"x", "expected JPEG, PNG"),
        (b"<!DOCTYPE html><html></html>", "expected JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "expected JPEG, PNG"),
        (b"%PDF-1.7 and more", "a PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "a video"),
    ],
)
def test_what_is_no_image_is_called_so_with_a_hint(data: bytes, hint: str) -> None:
    message = refused(data)
    assert message.startswith("the given data is not an image that can be read here (")
    assert hint in message


def test_every_error_is_an_input_error_and_a_value_error() -> None:
    with pytest.raises(InputError):
        load_image(b"")
    with pytest.raises(ValueError, match="empty"):
        load_image(b"")


# ---- the cap ----


def png_header(width: int, height: int) -> bytes:
    data = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + data + struct.pack(">I", zlib.crc32(data))


def png_without_pixels(width: int, height: int) -> bytes:
    no_pixels = b"IDAT"
    return (
        png_header(width, height)
        + struct.pack(">I", 0)
        + no_pixels
        + struct.pack(">I", zlib.crc32(no_pixels))
    )


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded("GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded("BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.parametrize("make", [png_without_pixels, jpeg_of_size, gif_of_size, bmp_of_size])
def test_a_few_bytes_that_announce_gigapixels_are_refused_by_their_header(
    make: Callable[[int, int], bytes],
) -> None:
    data = make(50_000, 50_000)
    assert len(data) < 2_000
    message = refused(data)
    assert "50000 x 50000 = 2,500,000,000 pixels, the cap is 50,000,000" in message
    assert "max_pixels" in message


def test_the_cap_is_ours_alone_and_can_be_raised_beyond_that_of_pillow() -> None:
    pillow_opens_up_to = 2 * (PillowImage.MAX_IMAGE_PIXELS or 0)
    assert 0 < pillow_opens_up_to < 20_000 * 10_000
    assert "too large" in refused(png_without_pixels(20_000, 10_000))
    assert "truncated or damaged" in refused(png_without_pixels(20_000, 10_000), max_pixels=200_000_000)


def test_the_cap_counts_pixels_and_includes_itself() -> None:
    data = encoded(size_wh=(24, 16))
    assert load_image(data, max_pixels=24 * 16).shape == (16, 24, 3)
    assert "24 x 16 = 384 pixels, the cap is 383" in refused(data, max_pixels=383)
    assert DEFAULT_MAX_PIXELS == 50_000_000


@pytest.mark.parametrize("make", [jpeg_of_size, bmp_of_size, png_without_pixels])
@pytest.mark.parametrize("size_wh", [(0, 5), (5, 0), (0, 0)])
def test_a_header_without_pixels_is_refused(
    make: Callable[[int, int], bytes], size_wh: tuple[int, int]
) -> None:
    refused(make(*size_wh))


# ---- nothing is left open ----


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_stays_open_whatever_happens(tmp_path: Path) -> None:
    good, cut, alien = tmp_path / "good.tif", tmp_path / "cut.png", tmp_path / "alien.jpg"
    good.write_bytes(encoded("TIFF"))
    cut.write_bytes(encoded()[:50])
    alien.write_bytes(b"hello")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        load_image(good)
        refused(cut)
        refused(alien)
        refused(good, max_pixels=1)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
    assert load_image(np.zeros((1, 1, 3), np.uint8)).shape == (1, 1, 3)
