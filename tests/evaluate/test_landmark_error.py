"""Landmark error: by hand, with points that nobody labelled and faces that nobody found."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import ShapeError
from vultus.evaluate.landmark_error import face_sizes, landmark_errors, landmark_nme
from vultus.types import Detections, FloatArray

POINTS = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)  # eyes 40 px apart
BOX = np.array([10, 10, 90, 110], np.float32)  # 80 x 100: sqrt(8000) = 89.44


class Faces(NamedTuple):
    boxes: FloatArray
    landmarks: FloatArray
    is_ignored: NDArray[np.bool_]


def annotated(*landmarks: FloatArray, ignored: bool = False) -> Faces:
    """Faces 200 px apart, each with these points."""
    count = len(landmarks)
    boxes = np.stack([BOX + 200 * i for i in range(count)])
    points = np.stack([points + 200 * i for i, points in enumerate(landmarks)])
    return Faces(boxes, points, np.full(count, ignored))


def found(*landmarks: FloatArray) -> Detections:
    truth = annotated(*landmarks)
    return Detections(truth.boxes, np.linspace(0.9, 0.5, len(landmarks), dtype=np.float32), truth.landmarks)


def shifted(x: float, y: float) -> FloatArray:
    return POINTS + np.array([x, y], np.float32)


def test_an_error_is_the_mean_distance_as_a_share_of_the_size() -> None:
    moved = POINTS.copy()
    moved[0] += [3, 4]  # 5 px, the other four exact: mean 1 px
    assert landmark_errors([moved], [POINTS], size_px=[50]).tolist() == pytest.approx([1 / 50])


def test_the_size_is_that_of_the_box_or_the_distance_of_the_eyes() -> None:
    assert face_sizes([BOX], [POINTS]).tolist() == pytest.approx([math.sqrt(8000)])
    assert face_sizes([BOX], [POINTS], size="eyes").tolist() == [40]
    truth, predictions = [annotated(POINTS)], [found(shifted(3, 4))]
    assert landmark_nme(predictions, truth).nme == pytest.approx(5 / math.sqrt(8000))
    assert landmark_nme(predictions, truth, size="eyes").nme == pytest.approx(5 / 40)


def test_points_without_labels_do_not_count() -> None:
    labelled = POINTS.copy()
    labelled[2:] = np.nan
    moved = POINTS.copy()
    moved[1] += [0, 6]
    moved[4] += 1000
    errors = landmark_errors([moved, moved], [labelled, np.full((5, 2), np.nan)], size_px=[10, 10])
    assert errors[0] == pytest.approx(0.3)  # 0 and 6 px: mean 3
    assert math.isnan(errors[1])


def test_faces_that_were_not_found_are_counted_and_have_no_error() -> None:
    truth = [annotated(POINTS, POINTS), annotated(POINTS)]
    result = landmark_nme([found(shifted(8, 0)), Detections.empty()], truth)
    assert (result.n_found, result.n_labelled) == (1, 3)
    assert result.nme == pytest.approx(8 / math.sqrt(8000))


def test_the_mean_goes_over_faces_not_over_images() -> None:
    truth = [annotated(POINTS, POINTS, POINTS), annotated(POINTS)]
    result = landmark_nme([found(POINTS, POINTS, POINTS), found(shifted(8, 0))], truth)
    assert result.nme == pytest.approx(2 / math.sqrt(8000))


def test_faces_without_labels_and_ignored_ones_do_not_count() -> None:
    nothing = np.full((5, 2), np.nan, np.float32)
    no_eyes = POINTS.copy()
    no_eyes[0] = np.nan
    unlabelled = landmark_nme([found(POINTS)], [annotated(nothing)])
    assert math.isnan(unlabelled.nme)
    assert (unlabelled.n_found, unlabelled.n_labelled) == (0, 0)
    assert landmark_nme([found(POINTS)], [annotated(POINTS, ignored=True)]).n_labelled == 0
    assert landmark_nme([found(POINTS)], [annotated(no_eyes)]).n_found == 1
    assert landmark_nme([found(POINTS)], [annotated(no_eyes)], size="eyes").n_labelled == 0


def test_a_repeat_does_not_count_twice() -> None:
    double = Detections(
        np.stack([BOX, BOX]), np.array([0.9, 0.8], np.float32), np.stack([POINTS, shifted(50, 0)])
    )
    assert landmark_nme([double], [annotated(POINTS)]) == (0.0, 1, 1)


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"landmarks \(N, K, 2\)"):
        landmark_errors([POINTS], [POINTS, POINTS], size_px=[1])
    with pytest.raises(ShapeError, match=r"sizes \(N,\)"):
        landmark_errors([POINTS], [POINTS], size_px=[1, 2])
    with pytest.raises(ShapeError, match="predictions for 1 images"):
        landmark_nme([], [annotated(POINTS)])
