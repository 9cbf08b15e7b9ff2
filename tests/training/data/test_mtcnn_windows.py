"""Windows to learn from: drawn where they should be, and cut as the detector cuts them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vultus.detect.area_means import AreaMeans
from vultus.detect.mtcnn_stages import look, pixel_edges, propose, tiles
from vultus.geometry.boxes import iou, squared
from vultus.training.data.mtcnn_targets import Cells, Seen
from vultus.training.data.mtcnn_windows import (
    cells_of,
    cut_cells,
    cut_squares,
    squares_anywhere,
    squares_near,
)
from vultus.types import FloatArray

FACES = np.array([[20, 30, 60, 80], [100, 20, 180, 130]], np.float32)
IMAGE = np.random.default_rng(0).integers(0, 256, (150, 210, 3), np.uint8)


class Recorder:
    """A network that finds nothing and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[FloatArray] = []

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        self.seen.append(batch.copy())
        count, _, height, width = batch.shape
        grid = (count, (height - 8) // 2, (width - 8) // 2) if height != 24 else (count,)
        zeros = [np.zeros((grid[0], channels, *grid[1:]), np.float32) for channels in (2, 4)]
        zeros[0][:, 0] = 99
        return zeros


def test_p_nets_crops_are_what_it_sees_when_the_detector_scans() -> None:
    scale, picture = 0.37, AreaMeans(IMAGE)
    recorder = Recorder()
    with ThreadPoolExecutor(1) as pool:
        propose(recorder, [picture], scales=[[scale]], min_margin=0.0, pool=pool)
    (tile,) = tiles(picture.size_hw, scale)
    (level,) = recorder.seen[0]
    rows, columns = np.array([0, 3, 16]), np.array([0, 5, 20])
    crops = cut_cells(picture, Cells(np.full(3, scale), rows, columns))
    assert tile.level_hw == level.shape[1:]
    assert crops.shape == (3, 3, 12, 12)
    for crop, row, column in zip(crops, rows, columns, strict=True):
        shown = level[:, 2 * row : 2 * row + 12, 2 * column : 2 * column + 12]
        np.testing.assert_allclose((crop.astype(np.float32) - 127.5) / 128, shown, atol=0.51 / 128)


def test_r_nets_crops_are_what_it_sees_when_the_detector_looks() -> None:
    picture, recorder = AreaMeans(IMAGE), Recorder()
    squares = squares_near(FACES, np.random.default_rng(0), per_face=5, max_shift=0.5, max_zoom=2)
    with ThreadPoolExecutor(1) as pool:
        look(recorder, [picture], squares=[squares], size_px=24, min_margin=0.0, pool=pool)
    crops = cut_squares(picture, squares, size_px=24)
    assert len(crops) == 10
    np.testing.assert_allclose((crops.astype(np.float32) - 127.5) / 128, recorder.seen[0], atol=0.51 / 128)


def test_crops_are_black_beyond_the_border() -> None:
    white = AreaMeans(np.full((40, 40, 3), 255, np.uint8))
    (crop,) = cut_squares(white, np.array([[-19, -19, 20, 20]], np.float32), size_px=24)
    assert (crop[:, :12, :] == 0).all()
    assert (crop[:, 12:, :12] == 0).all()
    assert (crop[:, 12:, 12:] == 255).all()


def test_squares_near_a_face_stay_within_their_limits() -> None:
    squares = squares_near(FACES, np.random.default_rng(1), per_face=300, max_shift=0.25, max_zoom=1.5)
    edges = pixel_edges(squares).reshape(2, 300, 4)
    for face, own in zip(squared(FACES), edges, strict=True):
        side = face[2] - face[0]
        np.testing.assert_allclose(own[:, 2] - own[:, 0], own[:, 3] - own[:, 1], rtol=1e-4)
        zooms = (own[:, 2] - own[:, 0]) / side
        assert 1 / 1.51 < zooms.min() < 0.75
        assert 1.35 < zooms.max() < 1.51
        shifts = ((own[:, :2] + own[:, 2:]) / 2 - (face[:2] + face[2:]) / 2) / side
        assert 0.2 < np.abs(shifts).max() < 0.2501


def test_no_faces_no_squares_near_them() -> None:
    none = squares_near(FACES[:0], np.random.default_rng(0), per_face=5, max_shift=0.5, max_zoom=2)
    assert none.shape == (0, 4)


def test_squares_anywhere_lie_inside_and_are_of_every_size() -> None:
    edges = pixel_edges(squares_anywhere((150, 210), np.random.default_rng(2), count=500, min_px=12))
    assert edges[:, :2].min() > -1e-3
    assert edges[:, 2].max() < 210.001
    assert edges[:, 3].max() < 150.001
    sides = edges[:, 2] - edges[:, 0]
    assert 11.9 < sides.min() < 14
    assert 130 < sides.max() < 150.001
    assert 30 < np.median(sides) < 60  # uniform in the logarithm


def test_each_square_goes_to_a_cell_that_sees_nearly_the_same() -> None:
    squares = squares_anywhere((150, 210), np.random.default_rng(3), count=200, min_px=12)
    seen = cells_of(squares, (150, 210)).seen((150, 210))
    overlaps = iou(seen.edges, Seen.of_squares(squares).edges).diagonal()
    assert np.median(overlaps) > 0.8
    assert overlaps.min() > 0.6


@pytest.mark.parametrize("size_hw", [(12, 30), (40, 12)])
def test_a_square_larger_than_the_image_goes_to_the_largest_window(size_hw: tuple[int, int]) -> None:
    huge = np.array([[-50, -50, 100, 100], [1, 1, 90, 90]], np.float32)
    cells = cells_of(huge, size_hw)
    picture = AreaMeans(np.zeros((*size_hw, 3), np.uint8))
    assert cut_cells(picture, cells).shape == (2, 3, 12, 12)
    assert (cells.scales == 1).all()
