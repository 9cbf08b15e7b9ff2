"""Dashed frames: visible, thin, and only where the boxes are."""

import numpy as np
import pytest

from vultus.draw import sketch
from vultus.errors import ShapeError

BLACK = np.zeros((200, 300, 3), np.uint8)


def test_frames_are_dashed_along_the_edges() -> None:
    drawn = sketch(BLACK, np.array([[50, 40, 250, 160]], np.float32), labels=[""])
    is_painted = drawn.min(axis=2) > 60
    top = is_painted[38:42, 50:250].any(axis=0)
    assert 0.4 < top.mean() < 0.7
    assert top[0]
    assert top[-1]
    changes = np.abs(np.diff(top.astype(int))).sum()
    assert changes == 8  # five dashes, four gaps
    left = is_painted[40:160, 48:52].any(axis=1)
    assert 0.4 < left.mean() < 0.7
    assert not is_painted[45:155, 55:245].any()
    assert not is_painted[:35].any()
    assert not BLACK.any()


def test_labels_stand_on_plates() -> None:
    boxes = np.array([[50, 40, 250, 160]], np.float32)
    with_label, without = (sketch(BLACK, boxes, labels=[text]) for text in ("0.42", ""))
    assert (with_label != without).any()


def test_boxes_outside_are_left_out_and_others_end_at_the_border() -> None:
    outside = np.array([[-50, -50, -10, -10], [400, 0, 500, 50]], np.float32)
    np.testing.assert_array_equal(sketch(BLACK, outside, labels=["a", "b"]), BLACK)
    drawn = sketch(BLACK, np.array([[-50, 50, 400, 150]], np.float32), labels=[""])
    assert (drawn[48:52].min(axis=2) > 60).any()


def test_nothing_to_draw_changes_nothing() -> None:
    np.testing.assert_array_equal(sketch(BLACK, np.zeros((0, 4), np.float32), labels=[]), BLACK)


def test_there_is_a_label_for_each_box() -> None:
    with pytest.raises(ShapeError, match="expected 1 labels"):
        sketch(BLACK, np.zeros((1, 4), np.float32), labels=[])
