"""Anchor imitation: a student's answers become its teacher's, at every anchor and at the teacher's faces."""

import math

import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.training.losses.anchor_imitation import AnchorImitationLoss, Answer

N, A = 3, 20


def answer(seed: int) -> Answer:
    """Raw outputs, of which about every third anchor is a face."""
    generator = torch.Generator().manual_seed(seed)
    values = 2 * torch.randn(N, A, 16, generator=generator, dtype=torch.float64)
    logits, boxes, landmarks = torch.split(values, [2, 4, 10], dim=2)
    return logits - torch.tensor([0.0, 1.0]), boxes, landmarks


def smooth_l1(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def probabilities(logits: list[float]) -> list[float]:
    z = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / z for logit in logits]


def by_loop(student: Answer, teacher: Answer, *, min_score: float) -> tuple[float, float, float]:
    divergence = boxes = landmarks = 0.0
    count = 0
    for image in range(N):
        for anchor in range(A):
            p = probabilities(teacher[0][image, anchor].tolist())
            q = probabilities(student[0][image, anchor].tolist())
            divergence += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            if p[1] >= min_score:
                count += 1
                boxes += sum(map(smooth_l1, (student[1] - teacher[1])[image, anchor].tolist()))
                landmarks += sum(map(smooth_l1, (student[2] - teacher[2])[image, anchor].tolist()))
    assert 0 < count < N * A
    return divergence / count, boxes / count, landmarks / count


@pytest.mark.parametrize("min_score", [0.2, 0.5, 0.9])
def test_it_is_the_formula(min_score: float) -> None:
    student, teacher = answer(1), answer(2)
    losses = AnchorImitationLoss(min_score=min_score)(student, teacher)
    assert tuple(loss.item() for loss in losses[1:]) == pytest.approx(
        by_loop(student, teacher, min_score=min_score), abs=1e-6
    )
    assert losses.total.item() == pytest.approx(sum(loss.item() for loss in losses[1:]))


def test_gradcheck() -> None:
    teacher = answer(2)

    def loss(*student: Tensor) -> Tensor:
        total: Tensor = AnchorImitationLoss()((student[0], student[1], student[2]), teacher).total
        return total

    assert torch.autograd.gradcheck(loss, tuple(each.requires_grad_() for each in answer(1)))


def test_the_same_answer_costs_nothing() -> None:
    assert AnchorImitationLoss()(answer(1), answer(1)).total.item() == pytest.approx(0, abs=1e-12)


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = (tuple(each.requires_grad_() for each in answer(seed)) for seed in (1, 2))
    AnchorImitationLoss()(student, teacher).total.backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in student)
    assert all(each.grad is None for each in teacher)


def test_only_the_teachers_faces_teach_boxes_and_landmarks() -> None:
    student, teacher = answer(1), answer(2)
    for each in student:
        each.requires_grad_()
    losses = AnchorImitationLoss()(student, teacher)
    is_face = teacher[0].softmax(-1)[..., 1] >= 0.5
    gradient = torch.autograd.grad(losses.boxes + losses.landmarks, student[1:])
    for each in gradient:
        assert torch.equal(each.abs().sum(-1) > 0, is_face)


def test_a_teacher_who_sees_no_face_teaches_the_background_alone() -> None:
    teacher = answer(2)
    background = teacher[0].clone()
    background[..., 1] = background[..., 0] - 8
    losses = AnchorImitationLoss()(answer(1), (background, *teacher[1:]))
    assert losses.boxes.item() == losses.landmarks.item() == 0
    assert losses.classification.item() > 0
    assert torch.isfinite(losses.total)


def test_hopeless_logits_stay_finite() -> None:
    student, teacher = answer(1), answer(2)
    losses = AnchorImitationLoss()((student[0] * 1e3, *student[1:]), (teacher[0] * 1e3, *teacher[1:]))
    assert torch.isfinite(losses.total)


def test_in_bfloat16_it_is_computed_in_float32() -> None:
    student, teacher = answer(1), answer(2)
    narrow = [tuple(each.bfloat16() for each in given) for given in (student, teacher)]
    losses = AnchorImitationLoss()(narrow[0], narrow[1])
    assert {loss.dtype for loss in losses} == {torch.float32}
    assert losses.total.item() == pytest.approx(
        AnchorImitationLoss()(student, teacher).total.item(), rel=0.02
    )


@pytest.mark.parametrize("min_score", [0.0, 1.0, -1.0, math.nan])
def test_a_score_that_says_nothing_is_refused(min_score: float) -> None:
    with pytest.raises(InputError, match="min_score must lie between 0 and 1"):
        AnchorImitationLoss(min_score=min_score)


def test_answers_of_other_anchors_are_refused() -> None:
    student, teacher = answer(1), answer(2)
    with pytest.raises(ShapeError, match=r"the teacher's class_logits must be floats of shape \(3, 20, 2\)"):
        AnchorImitationLoss()(student, (teacher[0][:, 1:], teacher[1][:, 1:], teacher[2][:, 1:]))
    with pytest.raises(ShapeError, match=r"the student's box_deltas must be floats of shape \(3, 20, 4\)"):
        AnchorImitationLoss()((student[0], student[1][..., 1:], student[2]), teacher)
