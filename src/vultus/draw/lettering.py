"""Text as a mask of ink.

OpenCV 5 carries fonts of its own: Latin, Greek, Cyrillic, Chinese, Japanese and Korean names look the same on
every machine. It neither joins Arabic letters nor knows the Indic scripts: these, and everything under
OpenCV 4, are written by Pillow, with the one of some common fonts that has most of the letters.
"""

import unicodedata
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vultus.errors import MissingExtraError

HEIGHT = 1.4  # of the mask, in sizes
BASELINE = 1.05  # where the letters stand, in sizes from the top
CAP_HEIGHT = 0.7  # of a capital letter or a digit, in sizes

_HAS_OPENCV_FONTS = hasattr(cv2, "FontFace")
_WEIGHT = 500  # a little bolder than regular
_SHAPED_SCRIPTS = range(0x0590, 0x10A0)  # Hebrew, Arabic, the Indic scripts, Thai, Lao, Tibetan, Burmese
_NOT_A_CHARACTER = "\U0010ffff"  # drawn by every font as a missing letter
_BUILT_IN = ""
_FONTS = (
    _BUILT_IN,  # Pillow's own: little more than ASCII
    "DejaVuSans.ttf",
    "Arial.ttf",
    "arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",  # Windows: Chinese
    "YuGothM.ttc",  # Windows: Japanese
    "malgun.ttf",  # Windows: Korean
    "Nirmala.ttf",  # Windows: Indic
    "NotoSansDevanagari-Regular.ttf",
)


def lettering(text: str, *, size_px: int) -> NDArray[np.uint8]:
    """One line of text as (HEIGHT * size_px, w) ink: 0 is none, 255 is full."""
    text = text.encode(errors="replace").decode()  # half a surrogate pair crashes OpenCV
    is_shaped = any(ord(character) in _SHAPED_SCRIPTS for character in text)
    if _HAS_OPENCV_FONTS and not is_shaped:
        return _by_opencv(text, size_px)
    return by_pillow(text, size_px=size_px)


def _by_opencv(text: str, size_px: int) -> NDArray[np.uint8]:
    face = cv2.FontFace("sans")
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), face, size_px, _WEIGHT)
    ink = np.zeros((round(HEIGHT * size_px), max(width, 1)), np.uint8)
    cv2.putText(ink, text, (0, round(BASELINE * size_px)), (255,), face, size_px, _WEIGHT)
    return ink


def by_pillow(text: str, *, size_px: int) -> NDArray[np.uint8]:
    """`lettering` by Pillow. A letter that the font lacks loses its accent: "e" is better than a box."""
    name = max(_installed_fonts(), key=lambda name: sum(_has(name, character) for character in text))
    text = "".join(character if _has(name, character) else _plain(character) for character in text)
    font = _font(name, size_px)
    ink = Image.new("L", (max(round(font.getlength(text)), 1), round(HEIGHT * size_px)))
    ImageDraw.Draw(ink).text((0, round(BASELINE * size_px)), text, fill=255, font=font, anchor="ls")
    return np.asarray(ink)


def _plain(character: str) -> str:
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else character


@lru_cache(maxsize=1)
def _installed_fonts() -> tuple[str, ...]:
    return tuple(name for name in _FONTS if _is_installed(name))


def _is_installed(name: str) -> bool:
    try:
        _font(name, 10)
    except OSError:
        return False
    return True


@lru_cache(maxsize=4096)
def _has(name: str, character: str) -> bool:
    return character.isspace() or _drawn(name, character) != _drawn(name, _NOT_A_CHARACTER)


def _drawn(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(name, 16).getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(name, size_px) if name != _BUILT_IN else ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MissingExtraError("this Pillow cannot write text: pip install --force-reinstall pillow")
    return font
