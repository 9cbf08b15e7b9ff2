"""psi: the formula, its joints, and how lambda falls."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from vultus.errors import InputError
from vultus.training.losses import ASoftmaxLoss, LSoftmaxLoss
from vultus.training.losses.multiplied_angle import Annealing, MultipliedAngle, chebyshev, psi

FACTORS = pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
THETA = torch.linspace(0, math.pi, 1001, dtype=torch.float64)


def by_hand(theta: float, factor: int) -> float:
    k = min(int(theta * factor / math.pi), factor - 1)
    return (1 - 2 * (k % 2)) * math.cos(factor * theta) - 2 * k


@FACTORS
def test_psi_is_the_formula_and_falls(factor: int) -> None:
    expected = torch.tensor([by_hand(theta, factor) for theta in THETA.tolist()], dtype=torch.float64)
    values = psi(THETA.cos(), factor)
    torch.testing.assert_close(values, expected, atol=1e-9, rtol=0)
    assert (values.diff() < 0).all()


@FACTORS
def test_psi_ends_at_one_less_two_factors(factor: int) -> None:
    """k stays at m - 1, also where rounding left the cosine beyond -1."""
    ends = torch.tensor([1.0, -1.0, -1.0000001])
    torch.testing.assert_close(psi(ends, factor), torch.tensor([1.0, 1 - 2 * factor, 1 - 2 * factor]))


@FACTORS
def test_psi_has_no_step_and_a_level_slope_at_its_joints(factor: int) -> None:
    for joint in range(1, factor):
        theta = joint * math.pi / factor
        around = torch.tensor([theta - 1e-7, theta + 1e-7], dtype=torch.float64)
        cosine = around.cos().requires_grad_()
        values = psi(cosine, factor)
        torch.testing.assert_close(values[0], values[1], atol=1e-9, rtol=0)
        (slope,) = torch.autograd.grad(values.sum(), cosine)
        assert slope.abs().max() < 1e-3


@FACTORS
def test_the_derivative_takes_k_for_constant(factor: int) -> None:
    theta = THETA[1:-1]
    cosine = theta.cos().requires_grad_()
    (slope,) = torch.autograd.grad(psi(cosine, factor).sum(), cosine)
    k = (theta * factor / math.pi).floor()
    expected = (-1) ** k * factor * (factor * theta).sin() / theta.sin()
    torch.testing.assert_close(slope, expected, atol=1e-6, rtol=1e-6)


@FACTORS
def test_the_chebyshev_polynomial_is_the_cosine_of_the_multiple(factor: int) -> None:
    torch.testing.assert_close(chebyshev(THETA.cos(), factor), (factor * THETA).cos())


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 1500), (10, 750), (90, 150), (2989, 5.0017), (2990, 5), (10**6, 5)]
)
def test_lambda_falls_to_five(step: int, expected: float) -> None:
    assert Annealing().share(torch.tensor(step)).item() == pytest.approx(expected, rel=1e-4)


def test_each_batch_in_training_is_a_step() -> None:
    margin = MultipliedAngle(4, Annealing(start=9, rate=1, floor=1))
    cosine = torch.tensor([-0.5])
    plain, bent = -0.5, by_hand(2 * math.pi / 3, 4)
    for share in (9, 4.5, 3, 2.25):
        assert margin(cosine).item() == pytest.approx((share * plain + bent) / (1 + share), rel=1e-5)
    margin.eval()
    assert margin(cosine).item() == margin(cosine).item()
    assert margin.step.item() == 4


@pytest.mark.parametrize("loss", [LSoftmaxLoss, ASoftmaxLoss])
@pytest.mark.parametrize("factor", [0, -1, 2.5])
def test_a_factor_without_a_psi_is_refused(loss: Callable[..., Any], factor: float) -> None:
    with pytest.raises(InputError, match="whole number"):
        loss(4, 3, factor=factor)
