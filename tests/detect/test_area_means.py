"""Means over rectangles: against plain loops, and against PyTorch's "area"."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from numpy.typing import NDArray

from vultus.detect.area_means import AreaMeans
from vultus.types import FloatArray, Image


def noise(height: int, width: int, *, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole(image: Image, size_hw: tuple[int, int]) -> FloatArray:
    return AreaMeans(image).reduced(size_hw, slice(0, size_hw[0]), slice(0, size_hw[1]))


def torch_area(image: Image, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    resized: NDArray[np.float32] = F.interpolate(planes, size=size_hw, mode="area")[0].numpy()
    return resized


def test_a_half_by_hand() -> None:
    gray = np.array([[0, 2, 10, 20], [4, 6, 30, 40]], np.uint8)
    image = np.stack([gray, gray + 1, gray + 2], axis=2)
    assert whole(image, (1, 2)).tolist() == [[[3, 25]], [[4, 26]], [[5, 27]]]


def test_a_pixel_that_lies_under_two_outputs_counts_fully_in_both() -> None:
    image = np.repeat(np.array([[0, 60, 90]], np.uint8)[..., None], 3, axis=2)
    assert whole(image, (1, 2))[0].tolist() == [[30, 75]]


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(1, 60), st.integers(1, 60)))
@settings(max_examples=60, deadline=None)
def test_any_size_equals_pytorch_area(source_hw: tuple[int, int], size_hw: tuple[int, int]) -> None:
    image = noise(*source_hw)
    np.testing.assert_allclose(whole(image, size_hw), torch_area(image, size_hw), rtol=1e-6, atol=1e-4)


def test_parts_are_parts_of_the_whole() -> None:
    image = noise(97, 61)
    picture, expected = AreaMeans(image), whole(image, (50, 37))
    for rows in (slice(0, 50), slice(0, 7), slice(13, 50)):
        for columns in (slice(0, 37), slice(36, 37), slice(5, 20)):
            part = picture.reduced((50, 37), rows, columns)
            np.testing.assert_array_equal(part, expected[:, rows, columns])


@pytest.mark.parametrize("size_px", [24, 48])
def test_crops_inside_the_image_equal_pytorch_area(size_px: int) -> None:
    image = noise(300, 400)
    rng = np.random.default_rng(1)
    corners = rng.integers(0, 100, (37, 2))
    edges = np.hstack([corners, corners + rng.integers(1, 200, corners.shape)])
    crops = AreaMeans(image).crops(edges, size_px)
    assert crops.shape == (len(edges), 3, size_px, size_px)
    for crop, (x1, y1, x2, y2) in zip(crops, edges, strict=True):
        expected = torch_area(image[y1:y2, x1:x2], (size_px, size_px))
        np.testing.assert_allclose(crop, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    "edges",
    [
        (-10, -7, 30, 33),  # over the top left corner
        (70, 50, 110, 90),  # over the bottom right corner
        (-20, -20, 140, 140),  # larger than the image
        (20, -9, 60, 31),
        (99, 59, 139, 99),  # one pixel of the image
        (150, 10, 190, 50),  # nothing of it
    ],
)
def test_crops_beyond_the_border_are_padded_with_black_to_the_full_square(
    edges: tuple[int, int, int, int],
) -> None:
    image = noise(60, 100)
    x1, y1, x2, y2 = edges
    canvas = np.zeros((300, 300, 3), np.uint8)
    canvas[100:160, 100:200] = image
    expected = torch_area(canvas[y1 + 100 : y2 + 100, x1 + 100 : x2 + 100], (24, 24))
    crop = AreaMeans(image).crops(np.array([edges]), 24)[0]
    np.testing.assert_allclose(crop, expected, rtol=1e-6, atol=1e-4)


def test_no_crops_of_no_boxes() -> None:
    assert AreaMeans(noise(5, 5)).crops(np.zeros((0, 4), np.int64), 24).shape == (0, 3, 24, 24)


def test_sums_beyond_the_range_of_an_integer_come_out_right() -> None:
    white = np.full((3_100, 3_100, 3), 255, np.uint8)  # 255 times 9.6 million pixels: more than 2 ** 31
    picture = AreaMeans(white)
    assert (picture.reduced((31, 31), slice(0, 31), slice(0, 31)) == 255).all()
    assert (picture.crops(np.array([(0, 0, 3_100, 3_100), (3_000, 3_000, 3_100, 3_100)]), 24) == 255).all()


@pytest.mark.parametrize("view", [np.s_[:, ::-1], np.s_[::-1], np.s_[::2, ::3], np.s_[..., ::-1]])
def test_any_view_of_an_array_will_do(view: tuple[slice, ...]) -> None:
    image = noise(40, 50)[view]
    image.flags.writeable = False
    np.testing.assert_array_equal(whole(image, (9, 11)), whole(np.ascontiguousarray(image), (9, 11)))
