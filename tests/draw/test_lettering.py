"""Letters of many scripts, in both engines."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.draw.lettering import BASELINE, CAP_HEIGHT, HEIGHT, by_pillow, lettering

Engine = Callable[..., NDArray[np.uint8]]
needs_opencv_5 = pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="needs the fonts of OpenCV 5")
ENGINES = [pytest.param(lettering, id="best"), pytest.param(by_pillow, id="Pillow")]


@pytest.mark.parametrize("write", ENGINES)
@pytest.mark.parametrize("size_px", [8, 20, 61])
def test_text_fills_the_promised_height_and_a_capital_stands_on_the_baseline(
    write: Engine, size_px: int
) -> None:
    ink = write("H", size_px=size_px)
    assert ink.dtype == np.uint8
    assert ink.shape[0] == round(HEIGHT * size_px)
    rows = np.flatnonzero(ink.max(axis=1) > 127)
    assert abs(rows[-1] + 1 - BASELINE * size_px) <= 1.5
    assert abs(len(rows) - CAP_HEIGHT * size_px) <= 0.1 * size_px + 1


@pytest.mark.parametrize("write", ENGINES)
def test_longer_and_larger_text_is_wider(write: Engine) -> None:
    assert write("Annabel", size_px=20).shape[1] > write("Anna", size_px=20).shape[1]
    assert write("Anna", size_px=40).shape[1] > 1.8 * write("Anna", size_px=20).shape[1]


@pytest.mark.parametrize("write", ENGINES)
def test_the_same_text_is_the_same_ink(write: Engine) -> None:
    np.testing.assert_array_equal(write("Anna 0.97", size_px=20), write("Anna 0.97", size_px=20))


@pytest.mark.parametrize("write", ENGINES)
@pytest.mark.parametrize("text", ["", " ", "\n", "\t", "\0", "\ud800", "a\u0301", "👩‍👩‍👧", "a" * 500])
def test_no_text_is_too_odd(write: Engine, text: str) -> None:
    assert write(text, size_px=12).shape[0] == round(HEIGHT * 12)


@needs_opencv_5
@pytest.mark.parametrize("text", ["José", "Łukasz", "Ελένη", "Иван", "王小明", "さくら", "김철수"])
def test_the_letters_of_a_name_differ_from_each_other_and_from_a_missing_letter(text: str) -> None:
    letters = [lettering(letter, size_px=32) for letter in [*text, "?"]]
    drawn = {letter.tobytes() for letter in letters}
    assert len(drawn) == len({*text, "?"})
    assert all(letter.max() > 200 for letter in letters)


def test_pillow_writes_a_letter_without_its_accent_rather_than_a_box() -> None:
    from vultus.draw import lettering as room

    plain = "".join(c if room._has("", c) else room._plain(c) for c in "José Müller 王")
    assert plain == "Jose Muller 王"


@pytest.mark.parametrize("text", ["محمد", "שלום", "अनिल"])
def test_scripts_that_need_shaping_are_left_to_pillow(text: str) -> None:
    np.testing.assert_array_equal(lettering(text, size_px=24), by_pillow(text, size_px=24))
