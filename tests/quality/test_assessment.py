"""Faces judged: each fault gives its reason, and the score is that of the weakest point."""

import cv2
import numpy as np
import pytest

from vultus.align import template
from vultus.embed.self_check import reference_face
from vultus.errors import ShapeError
from vultus.quality import Quality, assess
from vultus.types import Crops, Detections, Image


def face_of(size_px: float, *, nose_shift: float = 0.0) -> Detections:
    """A face in a box `size_px` high, and wider; its nose is shifted by so many eye distances."""
    landmarks = template(112) * size_px / 112
    landmarks[2, 0] += nose_shift * (landmarks[1, 0] - landmarks[0, 0])
    box = np.array([[10, 20, 10 + size_px * 1.2, 20 + size_px]], np.float32)
    return Detections(box, np.ones(1, np.float32), landmarks[None].astype(np.float32))


@pytest.fixture(scope="module")
def sharp() -> Crops:
    return reference_face()[None]


@pytest.fixture(scope="module")
def soft(sharp: Crops) -> Crops:
    blurred: Image = np.asarray(cv2.GaussianBlur(sharp[0], (0, 0), 3), dtype=np.uint8)
    return blurred[None]


def only(qualities: list[Quality]) -> Quality:
    (quality,) = qualities
    return quality


def test_a_good_face_has_no_reason_against_it(sharp: Crops) -> None:
    quality = only(assess(sharp, face_of(90)))
    assert quality.is_good
    assert quality.reasons == ()
    assert quality.score > 0.75


def test_what_was_measured_is_told(sharp: Crops) -> None:
    quality = only(assess(sharp, face_of(90, nose_shift=0.25)))
    assert quality.size_px == pytest.approx(90)  # the shorter side
    assert quality.turn == pytest.approx(0.25, abs=0.01)
    assert 0.35 < quality.sharpness < 0.65


def test_each_fault_has_its_reason_with_both_figures(sharp: Crops, soft: Crops) -> None:
    assert only(assess(sharp, face_of(22))).reasons == ("the face is too small: 22 px, needed 40",)
    assert only(assess(soft, face_of(90))).reasons[0].startswith("the face is blurred: sharpness 0.1")
    turned = only(assess(sharp, face_of(90, nose_shift=-0.95)))
    assert [reason.split(":")[0] for reason in turned.reasons] == ["the face is turned away"]
    assert len(only(assess(soft, face_of(22, nose_shift=0.95))).reasons) == 3


def test_limits_are_the_callers(sharp: Crops, soft: Crops) -> None:
    assert only(assess(sharp, face_of(22), min_face_px=20)).is_good
    assert only(assess(soft, face_of(90), min_sharpness=0.05)).is_good
    assert only(assess(sharp, face_of(90, nose_shift=0.95), max_turn=1.2)).is_good
    assert not only(assess(sharp, face_of(90), min_face_px=91)).is_good
    assert only(assess(sharp, face_of(40))).is_good  # a limit is reached by its own value


def test_the_score_is_that_of_the_weakest_point(sharp: Crops, soft: Crops) -> None:
    assert only(assess(sharp, face_of(20))).score == pytest.approx(0.25)
    assert only(assess(sharp, face_of(90, nose_shift=0.8))).score == pytest.approx(0.2, abs=0.02)
    worst = only(assess(soft, face_of(20, nose_shift=3)))
    assert worst.score == 0
    blurred = only(assess(soft, face_of(90)))
    assert blurred.score == pytest.approx(blurred.sharpness / 0.5)


def test_the_score_grows_with_the_size_and_stays_in_0_to_1(sharp: Crops) -> None:
    scores = [only(assess(sharp, face_of(size))).score for size in (0.5, 10, 20, 30, 400)]
    assert scores == sorted(scores)
    assert scores[0] > 0
    assert scores[-1] <= 1


def test_faces_are_judged_in_their_order(sharp: Crops, soft: Crops) -> None:
    good, small = face_of(90), face_of(22)
    faces = Detections(
        np.concatenate([good.boxes, small.boxes]),
        np.ones(2, np.float32),
        np.concatenate([good.landmarks, small.landmarks]),
    )
    together = assess(np.concatenate([soft, sharp]), faces)
    assert together == [*assess(soft, good), *assess(sharp, small)]
    assert assess(sharp[:0], Detections.empty()) == []


def test_crops_and_faces_must_be_as_many(sharp: Crops) -> None:
    with pytest.raises(ShapeError, match="expected 0 crops, one per face, got 1"):
        assess(sharp, Detections.empty())
