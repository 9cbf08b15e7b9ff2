"""MMD: the unbiased double sums, several kernels, and values below zero."""

import math

import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.training.losses.mmd import BANDWIDTHS, MMDLoss


def domains(*, shift: float = 0.5, source: int = 6, target: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    rows = torch.randn(source + target, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rows[:source], rows[source:] + shift


def by_loop(source: Tensor, target: Tensor, sigmas: list[float]) -> float:
    x, y = source.tolist(), target.tolist()
    m, n = len(x), len(y)

    def k(a: list[float], b: list[float]) -> float:
        return sum(math.exp(-(math.dist(a, b) ** 2) / (2 * sigma**2)) for sigma in sigmas) / len(sigmas)

    within_x = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_y = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


@pytest.mark.parametrize("sigmas", [[1.0], [0.5, 1.0, 3.0]], ids=str)
def test_it_is_the_formula(sigmas: list[float]) -> None:
    source, target = domains()
    loss = MMDLoss(bandwidths=sigmas, is_relative=False)
    assert loss(source, target).item() == pytest.approx(by_loop(source, target, sigmas), abs=1e-12)


def test_relative_widths_are_factors_of_the_spread_of_both_domains_together() -> None:
    source, target = domains()
    rows = torch.cat([source, target]).tolist()
    squares = [math.dist(a, b) ** 2 for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
    spread = math.sqrt(sum(squares) / len(squares))
    expected = by_loop(source, target, [factor * spread for factor in BANDWIDTHS])
    assert MMDLoss()(source, target).item() == pytest.approx(expected, abs=1e-12)


def test_relative_widths_make_it_free_of_units() -> None:
    source, target = domains()
    assert MMDLoss()(1000 * source, 1000 * target).item() == pytest.approx(MMDLoss()(source, target).item())


def test_alike_domains_are_zero_on_average_and_often_below() -> None:
    draws = [domains(shift=0.0, source=8, target=8, seed=seed) for seed in range(400)]
    values = torch.stack([MMDLoss()(*draw) for draw in draws])
    error = values.std() / 20
    assert abs(values.mean()) < 3 * error, "unbiased"
    assert (values < 0).float().mean() > 0.3, "not clamped"
    assert values.clamp(min=0).mean() > 5 * error, "clamped, it would be biased"


def test_domains_apart_are_far_above_zero() -> None:
    near, far = (MMDLoss()(*domains(shift=shift, source=30, target=30)).item() for shift in (0.5, 3.0))
    assert 0 < near < far / 5


def test_it_sees_a_difference_that_the_means_do_not_have() -> None:
    source, target = domains(shift=0.0, source=60, target=60)
    narrow = (target - target.mean(0)) * 0.3
    assert MMDLoss()(source - source.mean(0), narrow) > 0.1


def test_learning_by_it_brings_the_domains_together() -> None:
    source, target = domains(shift=2.0, source=30, target=30)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([shift], lr=3.0)
    for _ in range(60):
        optimiser.zero_grad()
        MMDLoss()(source, target + shift).backward()
        optimiser.step()
    assert torch.allclose((target + shift).mean(0), source.mean(0), atol=0.3)


@pytest.mark.parametrize(("source", "target"), [(1, 4), (4, 1)])
def test_both_domains_must_be_in_the_batch(source: int, target: int) -> None:
    with pytest.raises(ShapeError, match="two rows of each domain"):
        MMDLoss()(torch.ones(source, 3), torch.ones(target, 3))


def test_rows_of_two_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match="one length"):
        MMDLoss()(torch.ones(4, 3), torch.ones(4, 2))


@pytest.mark.parametrize("bandwidths", [(), (1.0, 0.0), (-1.0,)], ids=str)
def test_widths_that_are_none_are_refused(bandwidths: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="bandwidth"):
        MMDLoss(bandwidths=bandwidths)
