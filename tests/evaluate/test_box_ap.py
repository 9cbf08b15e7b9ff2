"""COCO's rules, by hand, and against plain loops."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from vultus.errors import ShapeError
from vultus.evaluate.box_ap import box_ap, match_boxes
from vultus.types import Detections, FloatArray

FACE, OTHER, THIRD = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)


class Faces(NamedTuple):
    boxes: FloatArray
    landmarks: FloatArray
    is_ignored: NDArray[np.bool_]


def annotated(*boxes: tuple[float, ...], ignored: Sequence[int] = ()) -> Faces:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    no_points = np.full((len(corners), 5, 2), np.nan, np.float32)
    return Faces(corners, no_points, np.isin(np.arange(len(corners)), ignored))


def found(boxes: ArrayLike, scores: ArrayLike) -> Detections:
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(corners, np.asarray(scores, np.float32), np.zeros((len(corners), 5, 2), np.float32))


def test_all_found_and_nothing_else_scores_one() -> None:
    curve = box_ap([found([FACE, OTHER], [0.9, 0.2])], [annotated(FACE, OTHER)])
    assert curve.average_precision == 1.0
    assert curve.thresholds.tolist() == pytest.approx([0.9, 0.2])
    assert curve.recall.tolist() == [0.5, 1.0]


def test_every_point_of_the_curve_counts() -> None:
    """Right, wrong, right of three faces: 1/3 * 1 + 1/3 * 2/3. COCO's 101 points would say 0.5564."""
    curve = box_ap([found([FACE, (90, 0, 99, 9), OTHER], [0.9, 0.8, 0.7])], [annotated(FACE, OTHER, THIRD)])
    assert curve.average_precision == pytest.approx(1 / 3 + 2 / 9)


def test_a_repeat_is_a_false_positive() -> None:
    curve = box_ap([found([FACE, FACE, OTHER], [0.9, 0.8, 0.7])], [annotated(FACE, OTHER)])
    assert curve.average_precision == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_prediction_falls_back_on_its_second_best_face() -> None:
    """The protocol of WIDER FACE would leave the second face missed."""
    truth = annotated((0, 0, 10, 10), (2, 0, 12, 10))
    predictions = found([(0, 0, 10, 10), (0.5, 0, 10.5, 10)], [0.9, 0.8])
    assert match_boxes(predictions, truth).tolist() == [0, 1]
    assert box_ap([predictions], [truth]).average_precision == 1.0


def test_an_ignored_face_is_neither_missed_nor_a_mistake_however_often_it_is_found() -> None:
    truth = annotated(FACE, OTHER, ignored=[0])
    assert box_ap([found([FACE, FACE, OTHER], [0.9, 0.8, 0.7])], [truth]).average_precision == 1.0
    assert box_ap([found([OTHER], [0.7])], [truth]).average_precision == 1.0


def test_a_free_face_is_preferred_to_a_closer_ignored_one() -> None:
    truth = annotated((0, 0, 10, 10), (2, 0, 12, 10), ignored=[0])
    assert match_boxes(found([(0, 0, 10, 10)], [0.9]), truth).tolist() == [1]


def test_one_half_is_enough_without_the_plus_one() -> None:
    assert box_ap([found([(0, 0, 10, 5)], [0.9])], [annotated(FACE)]).average_precision == 1.0
    assert box_ap([found([(0, 0, 10, 4.99)], [0.9])], [annotated(FACE)]).average_precision == 0.0
    assert box_ap([found([(0, 0, 10, 5)], [0.9])], [annotated(FACE)], min_iou=0.6).average_precision == 0.0


def test_better_scores_choose_first_whatever_the_order_given() -> None:
    truth = annotated(FACE)
    assert match_boxes(found([(0, 0, 10, 9), FACE], [0.2, 0.9]), truth).tolist() == [-1, 0]


def test_equal_scores_stand_or_fall_together() -> None:
    """So the order of the images does not matter."""
    images = [(found([FACE], [0.5]), annotated(FACE)), (found([OTHER], [0.5]), annotated(FACE))]
    for order in (images, images[::-1]):
        curve = box_ap([one for one, _ in order], [one for _, one in order])
        assert curve.average_precision == 0.25
        assert curve.recall.tolist() == [0.5]


def test_scores_compare_between_images_and_faces_without_predictions_are_missed() -> None:
    predictions = [found([FACE], [0.3]), found([OTHER], [0.4]), Detections.empty()]
    curve = box_ap(predictions, [annotated(FACE), annotated(), annotated(FACE)])
    assert curve.average_precision == 0.25
    assert curve.n_faces == 2


def test_nothing_found_scores_zero_and_no_faces_have_no_score() -> None:
    nothing = box_ap([Detections.empty()], [annotated(FACE)])
    assert (nothing.average_precision, nothing.highest_recall) == (0.0, 0.0)
    assert np.isnan(box_ap([found([FACE], [0.9])], [annotated()]).average_precision)
    assert np.isnan(box_ap([], []).highest_recall)


def test_the_images_must_be_as_many() -> None:
    with pytest.raises(ShapeError, match="predictions for 1 images, one entry each, got 0"):
        box_ap([], [annotated(FACE)])


def overlap(p: Sequence[float], q: Sequence[float]) -> float:
    width = max(0.0, min(p[2], q[2]) - max(p[0], q[0]))
    height = max(0.0, min(p[3], q[3]) - max(p[1], q[1]))
    both = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (p, q)) - width * height
    return width * height / both


def slow_ap(predictions: Sequence[Detections], truths: Sequence[Faces]) -> float:
    outcomes: list[tuple[float, str]] = []
    n_faces = 0
    for faces, truth in zip(predictions, truths, strict=True):
        n_faces += sum(not ignored for ignored in truth.is_ignored)
        taken: set[int] = set()
        for box, score in sorted(
            zip(faces.boxes.tolist(), faces.scores.tolist(), strict=True), key=lambda f: -f[1]
        ):
            near = [
                (overlap(box, face), -j)
                for j, face in enumerate(truth.boxes.tolist())
                if overlap(box, face) >= 0.5
            ]
            free = [(o, j) for o, j in near if not truth.is_ignored[-j] and -j not in taken]
            if free:
                taken.add(-max(free)[1])
                outcomes.append((score, "right"))
            elif not any(truth.is_ignored[-j] for _, j in near):
                outcomes.append((score, "wrong"))
    points = [(0.0, 1.0)]
    for threshold in sorted({score for score, _ in outcomes}, reverse=True):
        kept = [outcome for score, outcome in outcomes if score >= threshold]
        points.append((kept.count("right") / n_faces, kept.count("right") / len(kept)))
    return sum(
        (recall - points[i][0]) * max(p for _, p in points[i + 1 :])
        for i, (recall, _) in enumerate(points[1:])
    )


@pytest.mark.parametrize("seed", range(4))
def test_random_sets_score_as_the_loops_say(seed: int) -> None:
    chance = np.random.default_rng(seed)
    truths, predictions = [], []
    for _ in range(15):
        corners = chance.integers(0, 40, (chance.integers(0, 8), 2))
        boxes = np.concatenate([corners, corners + chance.integers(4, 16, corners.shape)], axis=1)
        ignored = np.flatnonzero(chance.random(len(boxes)) < 0.3).tolist()
        truths.append(annotated(*boxes.tolist(), ignored=ignored))
        near = np.concatenate([boxes.repeat(2, axis=0), [[0, 0, 8, 8], [30, 30, 38, 38]]])
        near = near + chance.integers(-2, 3, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        predictions.append(found(near, np.sort(chance.integers(1, 30, len(near)) / 32)[::-1]))
    measured = box_ap(predictions, truths).average_precision
    assert 0.1 < measured < 0.9
    assert measured == pytest.approx(slow_ap(predictions, truths), abs=1e-9)
