"""Distillation: embeddings, logits with temperature, and relations, each against a plain loop."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.training.losses.distillation import (
    EmbeddingDistillationLoss,
    LogitDistillationLoss,
    RelationalDistillationLoss,
    angle_gap,
    distance_gap,
)


def rows(count: int = 5, *, student_size: int = 4, teacher_size: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(count, student_size, generator=generator, dtype=torch.float64)
    return student, torch.randn(count, teacher_size, generator=generator, dtype=torch.float64)


def cosine(u: list[float], v: list[float]) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))


def huber(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def minus(u: list[float], v: list[float]) -> list[float]:
    return [a - b for a, b in zip(u, v, strict=True)]


def softmax(logits: list[float]) -> list[float]:
    exponentials = [math.exp(logit) for logit in logits]
    return [value / sum(exponentials) for value in exponentials]


def test_the_cosine_form_is_the_formula_and_the_l2_form_twice_that() -> None:
    student, teacher = rows()
    pairs = zip(student.tolist(), teacher.tolist(), strict=True)
    by_hand = sum(1 - cosine(s, t) for s, t in pairs) / 5
    assert EmbeddingDistillationLoss()(student, teacher).item() == pytest.approx(by_hand, abs=1e-12)
    l2 = EmbeddingDistillationLoss(measure="l2")(student, teacher).item()
    assert l2 == pytest.approx(2 * by_hand, abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_logit_form_is_the_formula(temperature: float) -> None:
    student, teacher = rows()
    total = 0.0
    for s, t in zip((student / temperature).tolist(), (teacher / temperature).tolist(), strict=True):
        total += sum(p * math.log(p / q) for p, q in zip(softmax(t), softmax(s), strict=True))
    loss = LogitDistillationLoss(temperature=temperature)(student, teacher)
    assert loss.item() == pytest.approx(temperature**2 * total / 5, abs=1e-9)


def test_the_square_of_the_temperature_keeps_the_gradient_in_size() -> None:
    """At high T the gradient tends to that of 1/(2 C) |s - t|^2 of centred logits (Hinton, eq. 4)."""
    student, teacher = rows()
    student.requires_grad_()
    (gradient,) = torch.autograd.grad(LogitDistillationLoss(temperature=1000.0)(student, teacher), student)
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    assert torch.allclose(gradient, centred / 4 / 5, rtol=1e-2)


def test_logits_far_apart_stay_finite() -> None:
    student = torch.tensor([[3000.0, -3000.0]], requires_grad=True)
    loss = LogitDistillationLoss(temperature=1.0)(student, -student.detach())
    loss.backward()
    assert loss.item() == pytest.approx(6000)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_distance_relation_is_the_formula() -> None:
    student, teacher = rows(teacher_size=6)
    s, t = student.tolist(), teacher.tolist()
    pairs = list(permutations(range(5), 2))
    mean_s, mean_t = (sum(math.dist(x[i], x[j]) for i, j in pairs) / len(pairs) for x in (s, t))
    by_hand = sum(huber(math.dist(s[i], s[j]) / mean_s - math.dist(t[i], t[j]) / mean_t) for i, j in pairs)
    assert distance_gap(student, teacher).item() == pytest.approx(by_hand / len(pairs), abs=1e-12)


def test_the_angle_relation_is_the_formula() -> None:
    student, teacher = rows(teacher_size=6)
    s, t = student.tolist(), teacher.tolist()
    triples = list(permutations(range(5), 3))
    by_hand = sum(
        huber(cosine(minus(s[i], s[j]), minus(s[k], s[j])) - cosine(minus(t[i], t[j]), minus(t[k], t[j])))
        for i, j, k in triples
    )
    assert angle_gap(student, teacher).item() == pytest.approx(by_hand / len(triples), abs=1e-12)


def test_the_relational_loss_weighs_both() -> None:
    student, teacher = rows()
    loss = RelationalDistillationLoss(distance_weight=2.0, angle_weight=3.0)(student, teacher)
    expected = 2 * distance_gap(student, teacher) + 3 * angle_gap(student, teacher)
    assert loss.item() == pytest.approx(expected.item())


def test_relations_do_not_see_a_turn_a_shift_or_a_scale() -> None:
    student, _ = rows()
    turn = torch.linalg.qr(rows(4)[1]).Q
    teacher = 3 * student @ turn + 1
    assert RelationalDistillationLoss()(student, teacher).item() == pytest.approx(0, abs=1e-12)
    assert EmbeddingDistillationLoss()(student, teacher).item() > 0.01


@pytest.mark.parametrize(
    "loss",
    [
        EmbeddingDistillationLoss(),
        EmbeddingDistillationLoss(measure="l2"),
        LogitDistillationLoss(),
        RelationalDistillationLoss(),
    ],
    ids=["cosine", "l2", "logits", "relations"],
)
def test_the_teacher_is_never_taught_and_an_equal_student_costs_nothing(loss: torch.nn.Module) -> None:
    student, teacher = rows()
    loss(student.requires_grad_(), teacher.requires_grad_()).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert loss(teacher, teacher).item() == pytest.approx(0, abs=1e-12)


def test_a_student_of_another_size_learns_relations_only() -> None:
    student, teacher = rows(student_size=2)
    assert RelationalDistillationLoss()(student, teacher) > 0
    with pytest.raises(ShapeError, match="teacher"):
        EmbeddingDistillationLoss()(student, teacher)
    with pytest.raises(ShapeError, match="teacher"):
        LogitDistillationLoss()(student, teacher)


def test_relations_of_other_pictures_are_refused() -> None:
    with pytest.raises(ShapeError, match="same pictures"):
        RelationalDistillationLoss()(torch.ones(3, 4), torch.ones(2, 4))


def test_knobs_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="measure"):
        EmbeddingDistillationLoss(measure="l1")  # type: ignore[arg-type] # the wrong value is the point
    with pytest.raises(InputError, match="temperature"):
        LogitDistillationLoss(temperature=0.0)
    with pytest.raises(InputError, match="angle_weight"):
        RelationalDistillationLoss(angle_weight=-1.0)
