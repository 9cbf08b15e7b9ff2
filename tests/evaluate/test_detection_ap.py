"""The official protocol of WIDER FACE: every rule by hand, and the whole against plain loops."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from vultus.detect import load_detector
from vultus.errors import InputError
from vultus.evaluate import WiderResult, WiderTruth, read_widerface_truth, widerface_ap
from vultus.image import load_image
from vultus.types import Detections

Box = tuple[float, float, float, float]  # x y w h, as published
ALL = "easy medium hard"


def truth_of(images: Mapping[str, Sequence[tuple[Box, str]]]) -> WiderTruth:
    """Ground truth with, for each face, the difficulties at which it counts."""
    faces = [face for faces in images.values() for face in faces]
    boxes = np.array([box for box, _ in faces], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return WiderTruth(
        images=tuple(images),
        first_face=np.cumsum([0, *(len(faces) for faces in images.values())]),
        boxes=boxes,
        counts={name: np.array([name in where for _, where in faces], np.bool_) for name in ALL.split()},
    )


def faces_at(boxes: ArrayLike, scores: ArrayLike) -> Detections:
    """Predictions with boxes x1 y1 x2 y2, in this very order."""
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(corners, np.asarray(scores, np.float32), np.zeros((len(corners), 5, 2), np.float32))


def found(*rows: tuple[Box, float]) -> Detections:
    """Predictions x y w h with their scores, in this very order."""
    return faces_at([(x, y, x + w, y + h) for (x, y, w, h), _ in rows], [score for _, score in rows])


FACE: Box = (100, 100, 19, 19)  # 20 x 20 by the +1 convention
OTHER: Box = (200, 100, 19, 19)
THIRD: Box = (300, 100, 19, 19)
NOWHERE: Box = (500, 500, 19, 19)
FLOOR = (NOWHERE, 0.0)  # the lowest score of the set: normalised to 0, it joins at the last threshold only


def one_image(faces: Sequence[tuple[Box, str]], *rows: tuple[Box, float]) -> WiderResult:
    return widerface_ap({"a/1.jpg": found(*rows)}, truth_of({"a/1.jpg": faces}))


def test_perfect_predictions_score_one() -> None:
    result = one_image([(FACE, ALL), (OTHER, ALL)], (FACE, 0.9), (OTHER, 0.8))
    assert (result.easy, result.medium, result.hard) == (1.0, 1.0, 1.0)


def test_nothing_found_scores_zero() -> None:
    result = one_image([(FACE, ALL)])
    assert result.hard == 0.0
    assert result.curves["hard"].highest_recall == 0.0


@pytest.mark.parametrize(
    ("width", "overlap", "ap"),
    [
        (9, 200 / 400, 1.0),  # 10 of 20 columns: exactly 0.5 is enough
        (8.99, 199.8 / 400, 0.0),
        (38.99, 400 / 799.8, 1.0),
        (39, 400 / 800, 1.0),
        (39.01, 400 / 800.2, 0.0),
    ],
)
def test_a_match_needs_an_iou_of_one_half_with_the_plus_one(width: float, overlap: float, ap: float) -> None:
    """Without the +1, 9 of 19 columns would be 0.474, and a width of 38.99 would be 0.487."""
    assert (overlap >= 0.5) == bool(ap)
    assert one_image([(FACE, ALL)], ((100, 100, width, 19), 0.9)).hard == ap


def test_a_face_counts_at_its_difficulties_only() -> None:
    """At easy the second face is ignored; at hard it is missed."""
    result = one_image([(FACE, ALL), (OTHER, "hard")], (FACE, 0.9), FLOOR)
    assert (result.easy, result.medium, result.hard) == (1.0, 1.0, 0.5)
    assert [result.curves[name].n_faces for name in ALL.split()] == [1, 1, 2]


def test_a_match_of_an_ignored_face_drops_out() -> None:
    """The best prediction finds an ignored face: at easy neither right nor wrong, at hard right."""
    result = one_image([(FACE, "hard"), (OTHER, ALL)], (FACE, 0.9), (OTHER, 0.8), FLOOR)
    assert (result.easy, result.hard) == (1.0, 1.0)
    assert result.curves["easy"].precision[:999].tolist() == [1.0] * 999


def test_repeated_matches_of_an_ignored_face_drop_out_too() -> None:
    faces = [(FACE, ""), (OTHER, ALL)]
    assert one_image(faces, (FACE, 0.9), (FACE, 0.85), (OTHER, 0.8), FLOOR).hard == 1.0


def test_a_repeat_is_a_false_positive() -> None:
    """Found, found again, then the other: precision 1/1, 1/2, 2/3; area 0.5 * 1 + 0.5 * 2/3."""
    faces = [(FACE, ALL), (OTHER, ALL)]
    result = one_image(faces, (FACE, 0.9), (FACE, 0.8), (OTHER, 0.7), FLOOR)
    assert result.hard == pytest.approx(0.5 + 0.5 * 2 / 3, abs=1e-12)


def test_a_prediction_never_falls_back_on_its_second_best_face() -> None:
    """Both reach both faces. The second prefers the taken one, so the free face stays missed."""
    faces: list[tuple[Box, str]] = [((100, 100, 19, 19), ALL), ((104, 100, 19, 19), ALL)]
    result = one_image(faces, ((100, 100, 19, 19), 0.9), ((101, 100, 19, 19), 0.8), FLOOR)
    assert result.hard == 0.5


def test_a_prediction_on_an_ignored_and_a_counting_face_takes_the_closer_one() -> None:
    faces: list[tuple[Box, str]] = [((100, 100, 19, 19), ""), ((104, 100, 19, 19), ALL)]
    assert one_image(faces, ((101, 100, 19, 19), 0.9), FLOOR).hard == 0.0


def test_of_two_faces_equally_close_the_first_is_taken() -> None:
    faces = [(FACE, ""), (FACE, ALL)]
    assert one_image(faces, (FACE, 0.9), FLOOR).hard == 0.0


def test_better_scores_choose_first_whatever_the_order_given() -> None:
    """The worse box scores better: it takes the face, and the exact box is the repeat."""
    loose: Box = (104, 100, 19, 19)
    rows = [(FACE, 0.5), (loose, 0.9), (OTHER, 0.4), FLOOR]
    faces = [(FACE, ALL), (OTHER, ALL)]
    expected = 0.5 + 0.5 * 2 / 3
    assert one_image(faces, *rows).hard == pytest.approx(expected, abs=1e-12)
    assert one_image(faces, *rows[::-1]).hard == pytest.approx(expected, abs=1e-12)


def test_scores_are_normalised_over_the_whole_set() -> None:
    """0.5, 0.6, 0.7 become 0, 0.5, 1: the middle one joins at the 500th threshold, 0.5."""
    truth = truth_of({"a/1.jpg": [(FACE, ALL)], "b/2.jpg": [(OTHER, ALL)]})
    predictions = {"a/1.jpg": found((FACE, 0.75), (NOWHERE, 0.25)), "b/2.jpg": found((OTHER, 0.5))}
    recall = widerface_ap(predictions, truth).curves["hard"].recall
    assert len(recall) == 1000
    assert recall[:499].tolist() == [0.5] * 499
    assert recall[499:].tolist() == [1.0] * 501


def test_the_first_threshold_is_below_one_and_the_last_is_zero() -> None:
    """A prediction just under the first threshold, 0.999, joins at the second: 0.998."""
    faces = [(FACE, ALL), (OTHER, ALL)]
    result = one_image(faces, (THIRD, 1.0), (FACE, 0.99899), (OTHER, 0.0))
    assert result.curves["hard"].recall[[0, 1, 998, 999]].tolist() == [0.0, 0.5, 0.5, 1.0]
    assert result.curves["hard"].thresholds[[0, 999]].tolist() == [0.999, 0.0]


def test_predictions_between_two_thresholds_stand_or_fall_together() -> None:
    """A hit above a false positive, both in one step: precision 1/2 from the first point on."""
    assert one_image([(FACE, ALL)], (FACE, 1.0), (NOWHERE, 0.9995), (NOWHERE, 0.0)).hard == 0.5


def test_precision_is_raised_to_the_best_at_a_higher_recall() -> None:
    """Wrong, right, right: precision 0/1, 1/2, 2/3. Raised, it is 2/3 everywhere."""
    faces = [(FACE, ALL), (OTHER, ALL)]
    assert one_image(faces, (NOWHERE, 0.9), (FACE, 0.8), (OTHER, 0.7), FLOOR).hard == pytest.approx(2 / 3)


def test_faces_of_an_image_without_predictions_are_missed() -> None:
    truth = truth_of({"a/1.jpg": [(FACE, ALL)], "a/2.jpg": [(FACE, ALL), (OTHER, ALL), (THIRD, ALL)]})
    predictions = {"a/1.jpg": found((FACE, 0.9), FLOOR), "a/2.jpg": Detections.empty()}
    assert widerface_ap(predictions, truth).hard == 0.25


def test_predictions_in_an_image_without_faces_are_false_positives() -> None:
    truth = truth_of({"a/1.jpg": [], "a/2.jpg": [(FACE, ALL)]})
    predictions = {"a/1.jpg": found((FACE, 0.9)), "a/2.jpg": found((FACE, 0.8), FLOOR)}
    assert widerface_ap(predictions, truth).hard == 0.5


def test_equal_scores_make_one_point() -> None:
    """The official code divides 0 by 0 here."""
    result = one_image([(FACE, ALL), (OTHER, ALL)], (FACE, 0.5), (NOWHERE, 0.5))
    assert result.hard == 0.25
    assert set(result.curves["hard"].recall) == {0.5}


def test_no_counting_face_is_no_figure() -> None:
    result = one_image([(FACE, "hard")], (FACE, 0.9), FLOOR)
    assert math.isnan(result.easy)
    assert result.hard == 1.0


def test_a_missing_image_is_an_error_unless_a_subset_is_wanted() -> None:
    truth = truth_of({"a/1.jpg": [(FACE, ALL)], "a/2.jpg": [(FACE, ALL)]})
    predictions = {"a/1.jpg": found((FACE, 0.9), FLOOR)}
    with pytest.raises(InputError, match=r"1 of 2 images have no predictions: a/2.jpg\. .*empty entry"):
        widerface_ap(predictions, truth)
    subset = widerface_ap(predictions, truth, only_present=True)
    assert (subset.hard, subset.n_images, subset.n_images_of_set, subset.is_subset) == (1.0, 1, 2, True)
    whole = widerface_ap(predictions | {"a/2.jpg": Detections.empty()}, truth, only_present=True)
    assert (whole.hard, whole.n_images, whole.is_subset) == (0.5, 2, False)


def test_an_unknown_image_is_an_error() -> None:
    with pytest.raises(InputError, match=r"1 images are not in the ground truth: 1.jpg; .* a/1.jpg"):
        widerface_ap({"1.jpg": found((FACE, 0.9))}, truth_of({"a/1.jpg": [(FACE, ALL)]}), only_present=True)


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(InputError, match="finite, got nan"):
        one_image([(FACE, ALL)], (FACE, float("nan")))


# ---------------------------------------------------------------------------------------------------------
# The protocol once more, as plain loops over numbers: one difficulty, one image, one prediction at a time.


def overlap_by_pixels(p: Sequence[float], q: Sequence[float]) -> float:
    """Of two boxes x1 y1 x2 y2 whose last pixels are inside."""
    width = min(p[2], q[2]) - max(p[0], q[0]) + 1
    height = min(p[3], q[3]) - max(p[1], q[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    size_p, size_q = ((b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (p, q))
    return width * height / (size_p + size_q - width * height)


def slow_ap(predictions: Mapping[str, Detections], truth: WiderTruth, difficulty: str) -> float:
    every_score = [float(score) for faces in predictions.values() for score in faces.scores]
    least, greatest = min(every_score), max(every_score)
    n_faces = 0
    right, judged = [0] * 1000, [0] * 1000
    for i, image in enumerate(truth.images):
        if image not in predictions:
            continue
        faces = truth.boxes[truth.first_face[i] : truth.first_face[i + 1]].tolist()
        wanted = truth.counts[difficulty][truth.first_face[i] : truth.first_face[i + 1]].tolist()
        n_faces += sum(wanted)
        boxes = predictions[image].boxes.astype(float).tolist()
        scores = [(float(score) - least) / (greatest - least) for score in predictions[image].scores]
        taken = [False] * len(faces)
        is_right, is_judged = [], []
        for box in boxes:
            best, face = 0.0, -1
            for j, other in enumerate(faces):
                overlap = overlap_by_pixels(box, other)
                if overlap > best:
                    best, face = overlap, j
            if best < 0.5:
                is_right.append(False)
                is_judged.append(True)
            elif not wanted[face]:
                is_right.append(False)
                is_judged.append(False)
            else:
                is_right.append(not taken[face])
                is_judged.append(True)
                taken[face] = True
        for t in range(1000):
            threshold = 1 - (t + 1) / 1000
            n = sum(score >= threshold for score in scores)
            right[t] += sum(is_right[:n])
            judged[t] += sum(is_judged[:n])
    recall = [0.0] + [r / n_faces for r in right]
    precision = [0.0] + [r / j if j else 0.0 for r, j in zip(right, judged, strict=True)]
    for t in range(999, -1, -1):
        precision[t] = max(precision[t], precision[t + 1])
    return sum((recall[t] - recall[t - 1]) * precision[t] for t in range(1, 1001))


def assert_equals_the_loops(predictions: Mapping[str, Detections], truth: WiderTruth) -> WiderResult:
    result = widerface_ap(predictions, truth, only_present=True)
    for name in ALL.split():
        assert getattr(result, name) == pytest.approx(slow_ap(predictions, truth, name), abs=1e-9)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_random_sets_score_as_the_loops_say(seed: int) -> None:
    """Whole pixels and few distinct scores, so that overlaps of exactly 0.5 and ties occur."""
    chance = np.random.default_rng(seed)
    truth = truth_of(
        {
            f"event/{i}.jpg": [
                (
                    tuple(chance.integers([0, 0, 0, 0], [60, 60, 24, 24]).tolist()),
                    str(chance.choice(["", "hard", ALL])),
                )
                for _ in range(chance.integers(0, 12))
            ]
            for i in range(12)
        }
    )
    predictions = {}
    for i, image in enumerate(truth.images):
        near = truth.boxes[truth.faces_of(i)].repeat(3, axis=0)
        near = near + chance.integers(-3, 4, near.shape)
        corners = chance.integers(0, 60, (10, 2))
        far = np.concatenate([corners, corners + chance.integers(1, 24, (10, 2))], axis=1)
        boxes = np.concatenate([near, far])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
        scores = np.sort(chance.integers(1, 40, len(boxes)) / 40)[::-1]
        predictions[image] = faces_at(chance.permutation(boxes), scores)
    result = assert_equals_the_loops(predictions, truth)
    assert 0.02 < result.easy < 0.98
    assert 0.02 < result.hard < 0.98


def test_the_official_faces_score_as_the_loops_say(shared: Path) -> None:
    """Every eighth image of the true ground truth, with shifted faces and background for predictions."""
    truth = read_widerface_truth(shared / "data" / "widerface-dev" / "ground_truth")
    chance = np.random.default_rng(5)
    predictions = {}
    for i in range(0, len(truth.images), 40):
        faces = truth.boxes[truth.faces_of(i)][:60]
        sizes = np.tile(faces[:, 2:] - faces[:, :2], 2)
        boxes = np.concatenate([faces + chance.normal(0, 0.12, faces.shape) * sizes, faces[:5] + 37.5])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
        scores = np.sort(chance.uniform(0.02, 1, len(boxes)))[::-1]
        predictions[truth.images[i]] = faces_at(boxes, scores)
    assert len(predictions) == 81
    result = assert_equals_the_loops(predictions, truth)
    assert result.is_subset
    assert 0.3 < result.hard < 0.9


@pytest.mark.slow
def test_real_detections_score_as_the_loops_say(shared: Path) -> None:
    folder = shared / "data" / "widerface-dev"
    truth = read_widerface_truth(folder / "ground_truth")
    detector = load_detector("mtcnn", min_score=0.02, min_face_px=30)
    names = (folder / "images.txt").read_text(encoding="utf-8").split()[::10]
    assert len(names) == 16
    predictions = {name: detector.detect(load_image(folder / "images" / name)) for name in names}
    result = assert_equals_the_loops(predictions, truth)
    assert result.easy > 0.7
