"""Boxes: by hand, and against plain loops."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from vultus.errors import ShapeError
from vultus.geometry.boxes import Overlap, areas, clipped, iou, moved, nms, overlaps, squared

Box = tuple[float, float, float, float]


def naive_area(box: NDArray[np.float64]) -> float:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return max(x2 - x1, 0.0) * max(y2 - y1, 0.0)


def naive_shared_and_whole(
    a: NDArray[np.float64], b: NDArray[np.float64], overlap: Overlap
) -> tuple[float, float]:
    corners = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    shared = naive_area(np.array(corners, np.float64))
    if overlap == "minimum":
        return shared, min(naive_area(a), naive_area(b))
    return shared, naive_area(a) + naive_area(b) - shared


def naive_overlap(a: NDArray[np.float64], b: NDArray[np.float64], overlap: Overlap) -> float:
    shared, whole = naive_shared_and_whole(a, b, overlap)
    return shared / whole if shared else 0.0


def is_apart(a: NDArray[np.float64], b: NDArray[np.float64], max_iou: float, overlap: Overlap) -> bool:
    shared, whole = naive_shared_and_whole(a, b, overlap)
    return shared <= max_iou * whole  # not a quotient: at the limit itself, rounding would decide


def naive_nms(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], max_iou: float, overlap: Overlap
) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(is_apart(boxes[i], boxes[j], max_iou, overlap) for j in kept):
            kept.append(i)
    return kept


@st.composite
def scored_boxes(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whole-number boxes, so that ties and exact overlaps occur; some are empty or inside out."""
    count = draw(st.integers(0, 90))
    corners = draw(arrays(np.int64, (count, 2), elements=st.integers(-20, 40)))
    sides = draw(arrays(np.int64, (count, 2), elements=st.integers(-2, 25)))
    scores = draw(arrays(np.int64, (count,), elements=st.integers(0, 12)))
    return np.hstack([corners, corners + sides]).astype(np.float64), scores / 8


def test_areas_by_hand() -> None:
    assert areas([[0, 0, 4, 5], [-1, -1, 1, 1], [3, 3, 3, 9], [5, 5, 4, 4]]).tolist() == [20, 4, 0, 0]


@pytest.mark.parametrize(
    ("other", "expected_iou", "expected_minimum"),
    [
        ((0, 0, 10, 10), 1, 1),  # itself
        ((5, 0, 15, 10), 1 / 3, 1 / 2),
        ((2, 2, 7, 7), 1 / 4, 1),  # inside
        ((10, 0, 20, 10), 0, 0),  # edges touch: no pixel in common
        ((-30, -30, -20, -20), 0, 0),
        ((5, 5, 5, 9), 0, 0),  # empty
        ((9, 9, 1, 1), 0, 0),  # inside out
    ],
)
def test_overlaps_with_a_ten_pixel_box_by_hand(
    other: Box, expected_iou: float, expected_minimum: float
) -> None:
    assert iou([(0, 0, 10, 10)], [other]) == pytest.approx(expected_iou)
    assert overlaps([(0, 0, 10, 10)], [other], overlap="minimum") == pytest.approx(expected_minimum)


def test_two_empty_boxes_overlap_nothing_not_even_themselves() -> None:
    assert iou([(1, 1, 1, 1)], [(1, 1, 1, 1)]).tolist() == [[0]]


def test_every_pair_is_compared() -> None:
    assert iou(np.ones((3, 4)), np.ones((2, 4))).shape == (3, 2)
    assert iou(np.zeros((0, 4)), np.ones((2, 4))).shape == (0, 2)


@given(scored_boxes(), st.sampled_from(["union", "minimum"]))
@settings(max_examples=50, deadline=None)
def test_overlaps_equal_a_plain_loop(
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]], overlap: Overlap
) -> None:
    boxes = drawn[0]
    expected = [[naive_overlap(a, b, overlap) for b in boxes] for a in boxes]
    np.testing.assert_allclose(
        overlaps(boxes, boxes, overlap=overlap), np.reshape(expected, (len(boxes), len(boxes))), rtol=1e-12
    )


@given(scored_boxes(), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]), st.sampled_from(["union", "minimum"]))
@settings(max_examples=100, deadline=None)
def test_nms_equals_a_plain_loop(
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]], max_iou: float, overlap: Overlap
) -> None:
    boxes, scores = drawn
    kept = nms(boxes, scores, max_iou=max_iou, overlap=overlap)
    assert kept.tolist() == naive_nms(boxes, scores, max_iou, overlap)


def test_nms_equals_a_plain_loop_over_more_boxes_than_one_sweep_takes() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 200, (400, 2))
    boxes = np.hstack([corners, corners + rng.uniform(10, 60, (400, 2))])
    scores = rng.random(400)
    kept = nms(boxes, scores, max_iou=0.4)
    assert 64 < len(kept) < 400
    assert kept.tolist() == naive_nms(boxes, scores, 0.4, "union")


def test_nms_keeps_an_overlap_of_exactly_the_limit() -> None:
    boxes = [(0, 0, 10, 10), (5, 0, 15, 10)]  # IoU 1/3
    assert nms(boxes, [0.9, 0.8], max_iou=1 / 3).tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], max_iou=1 / 3 - 1e-9).tolist() == [0]


def test_nms_by_minimum_drops_a_box_inside_another_that_union_keeps() -> None:
    boxes = [(0, 0, 10, 10), (2, 2, 7, 7)]
    assert nms(boxes, [0.9, 0.8], max_iou=0.7, overlap="union").tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], max_iou=0.7, overlap="minimum").tolist() == [0]
    assert nms(boxes, [0.8, 0.9], max_iou=0.7, overlap="minimum").tolist() == [1]


def test_what_is_suppressed_suppresses_nothing() -> None:
    chain = [(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)]  # each overlaps the next
    assert nms(chain, [0.9, 0.8, 0.7], max_iou=0.3).tolist() == [0, 2]


def test_of_equal_scores_the_earlier_box_stays() -> None:
    assert nms([(0, 0, 10, 10)] * 3, [0.5, 0.5, 0.5], max_iou=0.5).tolist() == [0]


def test_nms_answers_best_first_and_takes_no_boxes() -> None:
    assert nms([(0, 0, 1, 1), (5, 5, 6, 6)], [0.1, 0.2], max_iou=0.5).tolist() == [1, 0]
    assert nms(np.zeros((0, 4)), np.zeros(0), max_iou=0.5).shape == (0,)


@pytest.mark.parametrize("offset", [0, 60_000])
def test_float32_is_enough_at_any_place_of_the_largest_image(offset: float) -> None:
    boxes = np.array([(0, 0, 20, 20), (5, 0, 25, 20)], np.float32) + np.float32(offset)
    assert iou(boxes, boxes).dtype == np.float32
    assert iou(boxes, boxes)[0, 1] == pytest.approx(15 / 25, abs=1e-3)


def test_large_integers_do_not_overflow() -> None:
    box = np.array([(0, 0, 60_000, 60_000)], np.int32)
    assert areas(box).tolist() == [3.6e9]
    assert iou(box, box).tolist() == [[1.0]]


def test_squares_keep_the_centre_and_take_the_longer_side() -> None:
    assert squared([(0, 0, 4, 10), (0, 0, 6, 2), (1, 1, 2, 2)]).tolist() == [
        [-3, 0, 7, 10],
        [0, -2, 6, 4],
        [1, 1, 2, 2],
    ]


def test_edges_move_by_shares_of_their_own_side() -> None:
    assert moved([(10, 20, 30, 60)], [(0.5, -0.25, -0.5, 0.25)]).tolist() == [[20, 10, 20, 70]]


def test_clipping_leaves_what_lies_in_the_image() -> None:
    boxes = [(-5, -5, 5, 5), (90, 40, 200, 80), (300, 300, 400, 400), (1, 2, 3, 4)]
    assert clipped(boxes, (50, 100)).tolist() == [
        [0, 0, 5, 5],
        [90, 40, 100, 50],
        [100, 50, 100, 50],
        [1, 2, 3, 4],
    ]


@pytest.mark.parametrize("shape", [(4,), (2, 5), (1, 2, 4)])
def test_arrays_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    wrong, right = np.zeros(shape), np.zeros((2, 4))
    with pytest.raises(ShapeError, match=r"boxes must have shape \(N, 4\), x1 y1 x2 y2"):
        areas(wrong)
    with pytest.raises(ShapeError):
        iou(right, wrong)
    with pytest.raises(ShapeError):
        nms(wrong, np.zeros(2), max_iou=0.5)


def test_nms_wants_one_score_per_box() -> None:
    with pytest.raises(ShapeError, match=r"scores must have shape \(2,\), one per box, got \(3,\)"):
        nms(np.zeros((2, 4)), np.zeros(3), max_iou=0.5)
