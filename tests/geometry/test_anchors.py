import math

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.geometry.anchors import (
    RETINAFACE_MIN_SIZES,
    decode_boxes,
    decode_landmarks,
    encode_boxes,
    encode_landmarks,
    square_anchors,
)
from vultus.types import FloatArray


def random_anchors(count: int = 50) -> FloatArray:
    generator = np.random.default_rng(0)
    return generator.uniform([0, 0, 16, 16], [640, 640, 512, 512], (count, 4)).astype(np.float32)


@pytest.mark.parametrize("size_hw", [(640, 640), (480, 640), (31, 33), (1, 1), (886, 1280)])
def test_anchors_equal_the_plain_loop_over_levels_rows_columns_and_sides(size_hw: tuple[int, int]) -> None:
    expected = []
    for stride, sides in zip((8, 16, 32), RETINAFACE_MIN_SIZES, strict=True):
        for row in range(math.ceil(size_hw[0] / stride)):
            for column in range(math.ceil(size_hw[1] / stride)):
                expected += [[(column + 0.5) * stride, (row + 0.5) * stride, side, side] for side in sides]
    anchors = square_anchors(size_hw)
    assert anchors.dtype == np.float32
    np.testing.assert_array_equal(anchors, np.array(expected, np.float32))


def test_a_640_pixel_square_has_16800_anchors() -> None:
    assert square_anchors((640, 640)).shape == (16800, 4)


def test_anchors_are_not_clipped_at_the_border() -> None:
    first_of_last_level = square_anchors((640, 640))[-2 * 20 * 20]
    np.testing.assert_array_equal(first_of_last_level, [16, 16, 256, 256])  # reaches to -112


def test_min_sizes_and_strides_are_parameters() -> None:
    anchors = square_anchors((16, 16), min_sizes=[(10, 20, 24)], strides=[16])
    np.testing.assert_array_equal(anchors, [[8, 8, 10, 10], [8, 8, 20, 20], [8, 8, 24, 24]])


def test_each_stride_needs_its_own_sizes() -> None:
    with pytest.raises(InputError, match=r"one group per stride \(2\), got 1"):
        square_anchors((64, 64), min_sizes=[(16,)], strides=[8, 16])


def test_a_box_is_encoded_as_calculated_by_hand() -> None:
    anchors = np.array([[100, 50, 32, 64]], np.float32)
    boxes = np.array([[92.4, 18, 140.4, 146]], np.float32)  # centre 116.4, 82; 48 x 128
    expected = [[16.4 / 3.2, 32 / 6.4, math.log(48 / 32) / 0.2, math.log(128 / 64) / 0.2]]
    np.testing.assert_allclose(encode_boxes(boxes, anchors), expected, rtol=1e-5)


def test_zero_deltas_mean_the_anchor_itself() -> None:
    anchors = np.array([[100, 50, 32, 64]], np.float32)
    np.testing.assert_allclose(decode_boxes(np.zeros((1, 4), np.float32), anchors), [[84, 18, 116, 82]])
    points = decode_landmarks(np.zeros((1, 10), np.float32), anchors)
    np.testing.assert_allclose(points, np.tile([100, 50], (1, 5, 1)))


def test_landmark_deltas_come_in_pairs_of_x_and_y() -> None:
    anchors = np.array([[100, 50, 32, 64]], np.float32)
    deltas = np.zeros((1, 10), np.float32)
    deltas[0, 2:4] = 1, 2  # the second point
    points = decode_landmarks(deltas, anchors)
    np.testing.assert_allclose(points[0, 1], [100 + 0.1 * 32, 50 + 0.1 * 2 * 64])
    np.testing.assert_allclose(points[0, [0, 2, 3, 4]], np.tile([100, 50], (4, 1)))


@pytest.mark.parametrize("variances", [(0.1, 0.2), (1.0, 1.0)])
def test_decoding_undoes_encoding(variances: tuple[float, float]) -> None:
    generator = np.random.default_rng(1)
    anchors = random_anchors()
    corners = generator.uniform(-50, 700, (50, 2))
    boxes = np.hstack([corners, corners + generator.uniform(1, 400, (50, 2))]).astype(np.float32)
    landmarks = generator.uniform(-50, 700, (50, 5, 2)).astype(np.float32)

    box_deltas = encode_boxes(boxes, anchors, variances=variances)
    landmark_deltas = encode_landmarks(landmarks, anchors, variances=variances)
    decoded = decode_boxes(box_deltas, anchors, variances=variances)
    np.testing.assert_allclose(decoded, boxes, atol=1e-2)
    decoded = decode_landmarks(landmark_deltas, anchors, variances=variances)
    np.testing.assert_allclose(decoded, landmarks, atol=1e-2)


def test_no_anchors_give_no_boxes() -> None:
    none = np.zeros((0, 4), np.float32)
    assert decode_boxes(none, none).shape == (0, 4)
    assert encode_boxes(none, none).shape == (0, 4)
    assert decode_landmarks(np.zeros((0, 10), np.float32), none).shape == (0, 5, 2)
    assert encode_landmarks(np.zeros((0, 5, 2), np.float32), none).shape == (0, 10)


def test_a_box_without_area_is_refused() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 5, 20]], np.float32)
    with pytest.raises(InputError, match="in row 1"):
        encode_boxes(boxes, random_anchors(2))


def test_lengths_that_disagree_are_refused() -> None:
    anchors = random_anchors(3)
    with pytest.raises(ShapeError, match=r"deltas must have shape \(3, 4\).* got \(2, 4\)"):
        decode_boxes(np.zeros((2, 4), np.float32), anchors)
    with pytest.raises(ShapeError, match=r"boxes must have shape \(3, 4\)"):
        encode_boxes(np.ones((2, 4), np.float32), anchors)
    with pytest.raises(ShapeError, match=r"deltas must have shape \(3, 10\)"):
        decode_landmarks(np.zeros((3, 5, 2), np.float32), anchors)
    with pytest.raises(ShapeError, match=r"landmarks must have shape \(3, 5, 2\)"):
        encode_landmarks(np.zeros((3, 10), np.float32), anchors)
    with pytest.raises(ShapeError, match=r"anchors must have shape \(3, 4\)"):
        decode_boxes(np.zeros((3, 4), np.float32), np.zeros((3, 5), np.float32))
