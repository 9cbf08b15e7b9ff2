"""Arrays become images where their meaning is plain, and are refused with advice where it is not."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import ImageError
from vultus.image import load_image


def test_an_image_that_is_one_already_is_returned_itself() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert load_image(image) is image


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_gray_arrays_get_three_equal_channels(shape: tuple[int, ...]) -> None:
    gray = np.arange(20, dtype=np.uint8).reshape(shape)
    image = load_image(gray)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, np.repeat(gray.reshape(4, 5, 1), 3, axis=2))


def test_rgba_arrays_are_laid_on_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    np.testing.assert_array_equal(load_image(rgba), [[[10, 20, 30], [255, 255, 255]]])


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_uint16_arrays_are_scaled_whatever_their_byte_order(dtype: str) -> None:
    array = np.array([[0, 30_000, 65_535]], dtype)
    np.testing.assert_array_equal(load_image(array)[0, :, 0], [0, 117, 255])


def test_boolean_arrays_are_black_and_white() -> None:
    np.testing.assert_array_equal(load_image(np.array([[True, False]]))[0, :, 1], [255, 0])


@pytest.mark.parametrize("view", ["mirrored", "every second column", "Fortran order"])
def test_arrays_in_any_memory_layout_become_contiguous(view: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    seen = {
        "mirrored": array[:, ::-1],
        "every second column": array[:, ::2],
        "Fortran order": np.asfortranarray(array),
    }[view]
    image = load_image(seen)
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, seen)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 9), np.uint8), r"got \(3, 8, 9\); array\.transpose\(1, 2, 0\)"),
        (np.zeros((8, 9, 2), np.uint8), r"got \(8, 9, 2\)$"),
        (np.zeros((1, 8, 9, 3), np.uint8), r"got \(1, 8, 9, 3\)$"),
        (np.zeros(8, np.uint8), r"got \(8,\)$"),
        (np.zeros((), np.uint8), r"got \(\)$"),
        (np.zeros((0, 9, 3), np.uint8), r"at least one pixel, got \(0, 9, 3\)$"),
        (np.zeros((8, 9, 3), np.float32), r"got float32 with values from 0 to 0: .*0\.\.255.*astype"),
        (np.full((8, 9, 3), np.nan), "got float64 with values from nan to nan"),
        (np.zeros((8, 9, 3), np.int64), "got int64 with values from 0 to 0"),
        (np.zeros((8, 9, 3), np.complex64), "got complex64: "),
        (np.full((8, 9, 3), None), "got object: "),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")) + str(getattr(value, "shape", "")) or "_",
)
def test_other_arrays_are_refused_with_advice(array: NDArray[Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        load_image(array)
