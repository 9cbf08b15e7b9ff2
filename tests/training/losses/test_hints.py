"""Hints: the share of the teacher's variance that a student misses."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vultus.errors import ShapeError
from vultus.training.losses.hints import hint_loss

SHAPES = ((2, 3, 5, 4), (2, 6, 3, 2))


def maps(seed: int) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [3 + 2 * torch.randn(shape, generator=chance, dtype=torch.float64) for shape in SHAPES]


def naive(student: list[Tensor], teacher: list[Tensor]) -> float:
    """Sums in plain loops."""
    shares = []
    for s, t in zip(student, teacher, strict=True):
        missed = told = 0.0
        for channel in range(t.shape[1]):
            values = t[:, channel].flatten().tolist()
            mean = sum(values) / len(values)
            told += sum((value - mean) ** 2 for value in values)
            ours = s[:, channel].flatten().tolist()
            missed += sum((a - b) ** 2 for a, b in zip(ours, values, strict=True))
        shares.append(missed / told)
    return float(np.mean(shares))


def test_it_is_the_naive_formula() -> None:
    assert hint_loss(maps(1), maps(2)).item() == pytest.approx(naive(maps(1), maps(2)), rel=1e-9)


def test_the_same_maps_cost_nothing() -> None:
    assert hint_loss(maps(1), maps(1)).item() == 0


def test_a_stage_that_says_only_the_mean_costs_one() -> None:
    means = [each.mean((0, 2, 3), keepdim=True).expand_as(each) for each in maps(2)]
    assert hint_loss(means, maps(2)).item() == pytest.approx(1)


def test_a_loud_stage_weighs_no_more_than_a_quiet_one() -> None:
    student, teacher = maps(1), maps(2)
    louder = hint_loss([student[0], 10 * student[1]], [teacher[0], 10 * teacher[1]])
    assert louder.item() == pytest.approx(hint_loss(student, teacher).item())


def test_gradcheck() -> None:
    student = [each.requires_grad_() for each in maps(1)]
    assert torch.autograd.gradcheck(lambda *parts: hint_loss(parts, maps(2)), tuple(student))


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = maps(1), [each.requires_grad_() for each in maps(2)]
    hint_loss([each.requires_grad_() for each in student], teacher).backward()  # type: ignore[no-untyped-call]  # torch's own
    assert all(each.grad is None for each in teacher)
    assert all(each.grad is not None for each in student)


def test_bfloat16_maps_are_compared_in_float32() -> None:
    loss = hint_loss([each.bfloat16() for each in maps(1)], [each.bfloat16() for each in maps(2)])
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(naive(maps(1), maps(2)), rel=0.02)


def test_a_teacher_without_variance_gives_a_finite_loss() -> None:
    assert torch.isfinite(hint_loss([torch.zeros(1, 2, 2, 2)], [torch.ones(1, 2, 2, 2) * 0.0]))


@pytest.mark.parametrize(
    "student", [[], maps(1)[:1], [maps(1)[1], maps(1)[0]]], ids=["none", "one", "swapped"]
)
def test_stages_must_match(student: list[Tensor]) -> None:
    with pytest.raises(ShapeError, match="shapes"):
        hint_loss(student, maps(2))
