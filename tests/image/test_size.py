"""The size of a picture is known before its pixels are decoded."""

import io
import struct
import subprocess
import sys
import zlib
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


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(size_wh: tuple[int, int], pixels: bytes, *behind: bytes) -> bytes:
    """A PNG of 8-bit RGB, with whatever stands behind its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size_wh, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", pixels) + b"".join(behind) + chunk(b"IEND", b"")


def exif_of(orientation: int) -> bytes:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    return chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_is_turned_by_what_stands_behind_its_pixels(orientation: int) -> None:
    pixels = zlib.compress(bytes(40 * (1 + 3 * 60)))
    data = png((60, 40), pixels, exif_of(orientation))
    assert image_size_hw(data) == load_image(data).shape[:2]
    assert image_size_hw(data) == ((40, 60) if orientation < 5 else (60, 40))
    assert image_size_hw(png((60, 40), b"no pixels at all", exif_of(orientation))) == image_size_hw(data)


@pytest.mark.parametrize("missing", [1, 4, 12, 13, 20])
def test_a_png_that_breaks_off_has_the_size_of_its_head(missing: int) -> None:
    data = png((60, 40), zlib.compress(bytes(40 * (1 + 3 * 60))), exif_of(6))
    assert image_size_hw(data[:-missing]) == ((60, 40) if missing <= 12 else (40, 60))


def test_an_animated_png_has_the_size_of_its_frames() -> None:
    frames = [PillowImage.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    assert b"acTL" in buffer.getvalue()
    assert image_size_hw(buffer.getvalue()) == (40, 60)


def test_a_bomb_is_refused_without_the_memory_that_it_wants(tmp_path: Path) -> None:
    """12,000 x 11,000 pixels in 384 kB: decoded they are 396 MB."""
    packer = zlib.compressobj(9)
    rows = bytes(1 + 3 * 12_000)
    pixels = b"".join(packer.compress(rows) for _ in range(11_000)) + packer.flush()
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png((12_000, 11_000), pixels, exif_of(6)))
    assert bomb.stat().st_size < 1_000_000
    code = (
        "import resource, sys\n"
        "from vultus.errors import ImageError\n"
        "from vultus.image import image_size_hw, load_image\n"
        "load_image(sys.argv[1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(image_size_hw(sys.argv[2]))\n"
        "try:\n"
        "    load_image(sys.argv[2])\n"
        "except ImageError as error:\n"
        "    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    small = tmp_path / "small.png"
    PillowImage.new("RGB", (60, 40)).save(small)
    done = subprocess.run(
        [sys.executable, "-c", code, small, bomb], capture_output=True, text=True, check=True, timeout=300
    )
    size, refusal, grown_kib = done.stdout.splitlines()
    assert size == "(12000, 11000)"
    assert "12000 x 11000 = 132,000,000 pixels" in refusal
    assert int(grown_kib) < 20_000


def test_the_pixels_need_not_be_there() -> None:
    assert image_size_hw(jpeg(1)[:-5]) == (40, 60)


def test_what_is_no_picture_has_no_size(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no file"):
        image_size_hw(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="is not an image"):
        image_size_hw(b"just some text, which is no image")
