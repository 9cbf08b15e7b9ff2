"""NT-Xent: a double loop, an oracle, and the view that must not find itself."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as oracle
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.training.losses.nt_xent import NTXentLoss


def views(count: int = 5) -> tuple[Tensor, Tensor]:
    first, second = torch.randn(2, count, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return first, second


def cosine(u: list[float], v: list[float]) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_it_is_the_formula(temperature: float) -> None:
    first, second = views()
    z = first.tolist() + second.tolist()
    losses = []
    for i in range(10):
        own = math.exp(cosine(z[i], z[(i + 5) % 10]) / temperature)
        everyone = sum(math.exp(cosine(z[i], z[k]) / temperature) for k in range(10) if k != i)
        losses.append(-math.log(own / everyone))
    assert NTXentLoss(temperature=temperature)(first, second).item() == pytest.approx(
        sum(losses) / 10, abs=1e-9
    )


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_pytorch_metric_learning_agrees(temperature: float) -> None:
    first, second = views()
    theirs = oracle.NTXentLoss(temperature=temperature)(torch.cat([first, second]), torch.arange(5).repeat(2))
    assert NTXentLoss(temperature=temperature)(first, second).item() == pytest.approx(theirs.item(), abs=1e-6)


def test_the_two_sides_are_alike() -> None:
    first, second = views()
    assert NTXentLoss()(first, second).item() == pytest.approx(NTXentLoss()(second, first).item())


def test_perfect_views_at_right_angles_cost_what_the_others_weigh() -> None:
    """4 pictures: the own view at cosine 1, six others at 0."""
    loss = NTXentLoss(temperature=0.5)(torch.eye(4), torch.eye(4))
    assert loss.item() == pytest.approx(math.log1p(6 * math.exp(-2)), abs=1e-6)


def test_one_picture_has_nobody_to_be_confused_with() -> None:
    first = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = NTXentLoss()(first, torch.tensor([[2.0, -1.0]]))
    loss.backward()
    assert loss.item() == 0


def test_a_low_temperature_does_not_overflow() -> None:
    first, second = views()
    loss = NTXentLoss(temperature=1e-3)(first.float(), second.float())
    assert loss.isfinite()
    assert loss > 100


def test_unequal_batches_are_refused() -> None:
    with pytest.raises(ShapeError, match="second"):
        NTXentLoss()(torch.ones(2, 3), torch.ones(3, 3))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        NTXentLoss(temperature=temperature)
