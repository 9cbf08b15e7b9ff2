"""Coverage against geometry: areas, positions, and what lies outside of the canvas."""

import math

import numpy as np
import pytest

from vultus.draw.shapes import paint_box, paint_mask
from vultus.types import Image

WHITE = (255, 255, 255)


@pytest.fixture
def canvas() -> Image:
    return np.zeros((40, 60, 3), np.uint8)


def painted_area(canvas: Image) -> float:
    return float(canvas[:, :, 0].sum() / 255)


def test_a_box_on_whole_edges_covers_exactly_its_pixels(canvas: Image) -> None:
    paint_box(canvas, (10, 5, 30, 25), radius=0, colour=(1, 2, 3))
    expected = np.zeros_like(canvas)
    expected[5:25, 10:30] = (1, 2, 3)
    np.testing.assert_array_equal(canvas, expected)


def test_half_a_pixel_is_half_covered(canvas: Image) -> None:
    paint_box(canvas, (10.5, 5, 30, 25), radius=0, colour=WHITE)
    assert canvas[15, 9, 0] == 0
    assert abs(int(canvas[15, 10, 0]) - 128) <= 1
    assert canvas[15, 11, 0] == 255


@pytest.mark.parametrize("centre", [(30.0, 20.0), (29.3, 19.8), (30.5, 20.5)])
def test_a_circle_has_its_area_and_its_centre_wherever_it_lies(
    canvas: Image, centre: tuple[float, float]
) -> None:
    x, y = centre
    paint_box(canvas, (x - 9, y - 9, x + 9, y + 9), radius=9, colour=WHITE)
    assert painted_area(canvas) == pytest.approx(math.pi * 81, rel=0.01)
    rows, columns = np.mgrid[0:40, 0:60] + 0.5
    weight = canvas[:, :, 0] / canvas[:, :, 0].sum()
    assert float((columns * weight).sum()) == pytest.approx(x, abs=0.05)
    assert float((rows * weight).sum()) == pytest.approx(y, abs=0.05)


def test_a_line_lies_on_the_edges_and_is_as_wide_as_asked(canvas: Image) -> None:
    paint_box(canvas, (10, 5, 50, 35), radius=0, stroke=4, colour=WHITE)
    across = canvas[20, :30, 0]  # one row through the left edge
    assert float(across.sum() / 255) == pytest.approx(4, abs=0.05)
    np.testing.assert_array_equal(np.flatnonzero(across), [8, 9, 10, 11])
    assert (canvas[12:28, 17:43] == 0).all()


def test_rounded_corners_are_cut_and_edges_are_not(canvas: Image) -> None:
    paint_box(canvas, (10, 5, 50, 35), radius=8, colour=WHITE)
    assert (canvas[5, 10] == 0).all()
    assert (canvas[20, 10] == 255).all()
    assert painted_area(canvas) == pytest.approx(40 * 30 - (4 - math.pi) * 64, rel=0.01)


def test_opacity_mixes_with_what_is_there(canvas: Image) -> None:
    canvas[:] = 100
    paint_box(canvas, (0, 0, 60, 40), radius=0, colour=(200, 0, 100), opacity=0.25)
    np.testing.assert_array_equal(canvas[20, 30], [125, 75, 100])


@pytest.mark.parametrize(
    "edges",
    [(-50, -50, -10, -10), (100, 100, 130, 130), (-1e9, -1e9, -1e8, -1e8), (70, 5, 80, 9), (10, -9, 20, -5)],
)
def test_what_lies_outside_paints_nothing(canvas: Image, edges: tuple[float, float, float, float]) -> None:
    paint_box(canvas, edges, radius=2, colour=WHITE)
    assert (canvas == 0).all()


@pytest.mark.parametrize(
    ("edges", "inside"),
    [((-10, -10, 10, 10), (slice(0, 10), slice(0, 10))), ((50, 30, 90, 90), (slice(30, 40), slice(50, 60)))],
)
def test_what_crosses_the_border_is_cut_there(
    canvas: Image, edges: tuple[float, float, float, float], inside: tuple[slice, slice]
) -> None:
    paint_box(canvas, edges, radius=0, colour=WHITE)
    assert (canvas[inside] == 255).all()
    assert painted_area(canvas) == 100


@pytest.mark.parametrize(("left", "top"), [(5, 5), (-3, -2), (55, 36), (-20, 5), (5, 100), (60, 40)])
def test_a_mask_is_painted_in_place_and_cut_at_the_borders(canvas: Image, left: int, top: int) -> None:
    mask = np.random.default_rng(0).integers(0, 256, (7, 9), np.uint8)
    paint_mask(canvas, mask, left=left, top=top, colour=WHITE)
    wide = np.zeros((240, 260), np.uint8)
    wide[100 + top : 107 + top, 100 + left : 109 + left] = mask
    np.testing.assert_array_equal(canvas[:, :, 0], wide[100:140, 100:160])
