"""YOLOv5-Face's matching: by hand, by plain loops, and against the network's own memory order."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError, ShapeError
from vultus.geometry.anchors import YOLOV5_FACE_ANCHORS, YOLOV5_FACE_P6_ANCHORS
from vultus.networks.yolov5_face import yolov5_face
from vultus.training.data.sample import Sample
from vultus.training.data.yolov5_face_targets import assign_cells
from vultus.training.losses.yolov5_face import LevelTargets, YOLOv5FaceLoss, decode_matched

SIZE_HW = (64, 96)
STRIDES = (8, 16, 32)


def faces(*boxes_cxcywh: tuple[float, ...], ignored: tuple[int, ...] = ()) -> Sample:
    array = np.array(boxes_cxcywh, np.float32).reshape(-1, 4)
    boxes = np.concatenate([array[:, :2] - array[:, 2:] / 2, array[:, :2] + array[:, 2:] / 2], axis=1)
    landmarks = np.full((len(array), 5, 2), np.nan, np.float32)
    return Sample(
        np.zeros((*SIZE_HW, 3), np.uint8), boxes, landmarks, np.isin(np.arange(len(array)), ignored)
    )


def one_level(*samples: Sample, anchors: tuple[tuple[int, int], ...] = ((8, 8),)) -> LevelTargets:
    (level,) = assign_cells(samples, size_hw=SIZE_HW, anchors_wh=[anchors], strides=[8])
    return level


def cells(sample: Sample) -> set[tuple[int, int]]:
    found = [(int(column), int(row)) for column, row in one_level(sample).cells]
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        ((42, 26), {(5, 3), (4, 3), (5, 2)}),  # 5.25, 3.25: left and above
        ((46, 26), {(5, 3), (6, 3), (5, 2)}),  # 5.75, 3.25: right and above
        ((42, 30), {(5, 3), (4, 3), (5, 4)}),
        ((46, 30), {(5, 3), (6, 3), (5, 4)}),
        ((44, 28), {(5, 3)}),  # in the very middle
        ((40, 28), {(5, 3), (4, 3)}),  # on the edge between two cells
        ((2, 26), {(0, 3), (0, 2)}),  # nothing on the left
        ((2, 2), {(0, 0)}),
        ((94, 62), {(11, 7)}),  # the last cell: nothing on the right or below
        ((94, 58), {(11, 7), (11, 6)}),
    ],
)
def test_a_face_is_given_to_its_cell_and_the_nearer_neighbours(
    centre: tuple[float, float], expected: set[tuple[int, int]]
) -> None:
    assert cells(faces((*centre, 8, 8))) == expected


@pytest.mark.parametrize(
    ("size_wh", "is_matched"),
    [
        ((8, 8), True),
        ((31.9, 8), True),
        ((32, 8), False),  # four times as wide
        ((2.1, 8), True),
        ((2, 8), False),
        ((8, 31.9), True),
        ((8, 33), False),
        ((8, 1.9), False),
        ((31, 31), True),
    ],
)
def test_an_anchor_fits_if_no_side_differs_four_times(size_wh: tuple[float, float], is_matched: bool) -> None:
    assert bool(cells(faces((44, 28, *size_wh)))) == is_matched


def test_all_anchors_that_fit_are_given_the_face() -> None:
    level = one_level(faces((44, 28, 12, 12)), anchors=((2, 2), (8, 8), (16, 12)))
    assert level.anchors_wh.tolist() == [[1, 1], [2, 1.5]]  # in cells
    rows_of_an_anchor = 8 * 12
    assert level.rows.tolist() == [k * rows_of_an_anchor + 3 * 12 + 5 for k in (1, 2)]


def test_the_target_is_in_cells() -> None:
    sample = faces((44, 28, 12, 6))
    sample.landmarks[0] = np.array([[40, 24], [48, 24], [44, 28], [np.nan, np.nan], [48, 30]])
    level = one_level(sample)
    assert level.boxes_cxcywh.tolist() == [[5.5, 3.5, 1.5, 0.75]]
    assert level.landmarks.tolist() == [[[5, 3], [6, 3], [5.5, 3.5], [0, 0], [6, 3.75]]]
    assert level.is_labelled.tolist() == [[True, True, True, False, True]]


def test_rows_count_image_anchor_row_column() -> None:
    samples = [faces(), faces((44, 28, 8, 8)), faces((12, 4, 8, 8), (44, 28, 8, 8), ignored=(1,))]
    level = one_level(*samples, anchors=((100, 100), (8, 8)))
    raw = torch.arange(3 * 2 * 8 * 12).reshape(3, 2, 8, 12)
    assert level.rows.tolist() == [int(raw[1, 1, 3, 5]), int(raw[2, 1, 0, 1])]


def test_what_would_find_an_ignored_face_is_named_and_finds_nothing() -> None:
    ignored = one_level(faces((42, 26, 8, 8), (12, 4, 8, 8), ignored=(0,)))
    known = one_level(faces((42, 26, 8, 8)))
    assert ignored.ignored_rows.tolist() == known.rows.tolist() == [3 * 12 + 5, 3 * 12 + 4, 2 * 12 + 5]
    assert known.ignored_rows.tolist() == []
    assert ignored.cells.tolist() == [[1, 0]]
    assert len(ignored.landmarks) == len(ignored.is_labelled) == len(ignored.boxes_cxcywh) == 1


def test_a_face_whose_centre_is_outside_has_no_cell() -> None:
    assert cells(faces((-1, 28, 8, 8), (96, 28, 8, 8), (44, -0.1, 8, 8), (44, 64, 8, 8))) == set()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_without_faces_has_no_targets_but_all_levels(count: int) -> None:
    levels = assign_cells([faces()] * count, size_hw=SIZE_HW, anchors_wh=YOLOV5_FACE_ANCHORS, strides=STRIDES)
    assert len(levels) == 3
    for level in levels:
        assert [tuple(field.shape) for field in level] == [
            (0,),
            (0, 2),
            (0, 2),
            (0, 4),
            (0, 5, 2),
            (0, 5),
            (0,),
        ]


def by_loop(samples: list[Sample]) -> list[set[tuple[int, int, int, int]]]:
    """For each level the quadruples image, anchor, row, column."""
    levels = []
    for anchors, stride in zip(YOLOV5_FACE_ANCHORS, STRIDES, strict=True):
        found = set()
        for image, sample in enumerate(samples):
            for (x1, y1, x2, y2), is_ignored in zip(sample.boxes.tolist(), sample.is_ignored, strict=True):
                x, y = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
                for anchor, (wide, high) in enumerate(anchors):
                    w, h = x2 - x1, y2 - y1
                    if is_ignored or max(w / wide, wide / w, h / high, high / h) >= 4:
                        continue
                    for row in range(SIZE_HW[0] // stride):
                        for column in range(SIZE_HW[1] // stride):
                            across, down = abs(x - column - 0.5), abs(y - row - 0.5)
                            is_own = int(x) == column and int(y) == row
                            is_beside = int(y) == row and across < 1 and not is_own
                            is_above = int(x) == column and down < 1 and not is_own
                            if is_own or is_beside or is_above:
                                found.add((image, anchor, row, column))
        levels.append(found)
    return levels


def random_faces(chance: np.random.Generator, *, count: int) -> Sample:
    centres = chance.uniform(0, (96, 64), (count, 2))
    sides = np.exp(chance.uniform(0, np.log(200), (count, 1))) * chance.uniform(0.5, 1.5, (count, 2))
    sample = faces(*np.concatenate([centres, sides], axis=1).tolist())
    points = chance.uniform(0, 64, (count, 5, 2)).astype(np.float32)
    points[chance.random((count, 5)) < 0.3] = np.nan
    return sample._replace(landmarks=points, is_ignored=chance.random(count) < 0.2)


@given(seed=st.integers(0, 10**6), count=st.integers(0, 6))
def test_the_matching_is_that_of_plain_loops(seed: int, count: int) -> None:
    chance = np.random.default_rng(seed)
    samples = [random_faces(chance, count=count) for _ in range(2)]
    levels = assign_cells(samples, size_hw=SIZE_HW, anchors_wh=YOLOV5_FACE_ANCHORS, strides=STRIDES)
    for level, stride, expected in zip(levels, STRIDES, by_loop(samples), strict=True):
        shape = (2, 3, SIZE_HW[0] // stride, SIZE_HW[1] // stride)
        places = set(
            zip(*(axis.tolist() for axis in np.unravel_index(level.rows.numpy(), shape)), strict=True)
        )
        assert places == expected
        _, _, row, column = np.unravel_index(level.rows.numpy(), shape)
        np.testing.assert_array_equal(level.cells.numpy(), np.stack([column, row], axis=1))


def test_what_is_found_is_within_reach_of_the_prediction() -> None:
    chance = np.random.default_rng(0)
    samples = [random_faces(chance, count=50)]
    levels = assign_cells(samples, size_hw=SIZE_HW, anchors_wh=YOLOV5_FACE_ANCHORS, strides=STRIDES)
    for level in levels:
        assert len(level.rows) > 10
        offsets = level.boxes_cxcywh[:, :2] - level.cells
        assert ((offsets > -0.5) & (offsets < 1.5)).all()  # of 2 sigmoid(t) - 0.5
        ratios = level.boxes_cxcywh[:, 2:] / level.anchors_wh
        assert ((ratios > 0.25) & (ratios < 4)).all()  # of (2 sigmoid(t))^2


@pytest.mark.parametrize(
    ("size", "anchors"), [("n-0.5", YOLOV5_FACE_ANCHORS), ("n6", YOLOV5_FACE_P6_ANCHORS)]
)
def test_the_loss_finds_the_predictions_in_the_network_s_own_map(
    size: str, anchors: tuple[tuple[tuple[int, int], ...], ...]
) -> None:
    strides = yolov5_face(size).config.strides
    chance = np.random.default_rng(1)
    size_hw = (64, 128)
    samples = [
        random_faces(chance, count=8)._replace(image=np.zeros((*size_hw, 3), np.uint8)) for _ in range(2)
    ]
    targets = assign_cells(samples, size_hw=size_hw, anchors_wh=anchors, strides=strides)
    network = yolov5_face(size).eval()
    with torch.no_grad():
        maps = network(torch.zeros(2, 3, *size_hw))
    places, matched = 0, []
    for raw, level, stride, group in zip(maps, targets, strides, anchors, strict=True):
        raw.zero_()
        image, anchor, row, column = np.unravel_index(level.rows.numpy(), raw.shape[:4])
        np.testing.assert_allclose(level.anchors_wh.numpy(), np.array(group)[anchor] / stride)
        raw[image, anchor, row, column, 4] = 1  # marked where the place says, found where the row says
        flat = raw.reshape(-1, 16)
        assert (flat[level.rows, 4] == 1).all()
        boxes, _ = decode_matched(flat[level.rows], cells=level.cells, anchors_wh=level.anchors_wh)
        np.testing.assert_allclose(boxes[:, :2], np.stack([column, row], axis=1) + 0.5)
        places += len(level.rows)
        matched.append(flat)
    assert places > 20
    losses = YOLOv5FaceLoss()(matched, targets)
    assert torch.isfinite(losses.total)
    assert losses.landmarks > 0


def test_levels_and_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="expected anchors for each stride"):
        assign_cells([], size_hw=SIZE_HW, anchors_wh=YOLOV5_FACE_ANCHORS, strides=(8, 16))
    with pytest.raises(InputError, match="multiples of all"):
        assign_cells([], size_hw=(64, 100), anchors_wh=YOLOV5_FACE_ANCHORS, strides=STRIDES)
    with pytest.raises(ShapeError, match="all images must have size_hw"):
        assign_cells([faces()], size_hw=(96, 64), anchors_wh=YOLOV5_FACE_ANCHORS, strides=STRIDES)
