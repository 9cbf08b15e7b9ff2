"""AdaFace: the formula, the margins it passes through, and the running values."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from vultus.errors import InputError
from vultus.training.losses import AdaFaceLoss
from vultus.training.losses.adaface import adapted_cosine
from vultus.training.losses.cosines import Cosines

THETA = torch.linspace(0, math.pi, 501, dtype=torch.float64)


def test_the_loss_is_the_formula(
    draw: Callable[..., Any], angles: Callable[..., Any], softmax_loop: Callable[..., Any]
) -> None:
    embeddings, labels = draw(40, length=20.0)
    loss = AdaFaceLoss(6, 5).double().eval()
    loss.mean.fill_(18)
    loss.std.fill_(1)
    logits, qualities = [], []
    for x, row, y in zip(embeddings.tolist(), angles(embeddings, loss.weight), labels.tolist(), strict=True):
        length = min(max(math.hypot(*x), 0.001), 100)
        z = min(max((length - 18) / (1 + 0.001) * 0.333, -1), 1)
        turned = min(max(row[y] - 0.4 * z, 0), math.pi)
        own = math.cos(turned) - (0.4 * z + 0.4)
        logits.append([64 * (own if j == y else math.cos(theta)) for j, theta in enumerate(row)])
        qualities.append(z)
    assert min(qualities) < -0.9
    assert max(qualities) > 0.9
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.parametrize(
    ("quality", "turned", "taken"), [(-1.0, 0.4, 0.0), (0.0, 0.0, 0.4), (1.0, -0.4, 0.8)]
)
def test_it_passes_from_arcface_by_cosface_to_a_negative_angle(
    quality: float, turned: float, taken: float
) -> None:
    values = adapted_cosine(THETA.cos(), 0.4, quality=torch.tensor(quality, dtype=torch.float64))
    expected = (THETA + turned).clamp(0, math.pi).cos() - taken
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("quality", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_the_own_cosine_never_rises_with_the_angle(quality: float) -> None:
    values = adapted_cosine(THETA.cos(), 0.4, quality=torch.tensor(quality, dtype=torch.float64))
    assert (values.diff() <= 1e-12).all()


def test_the_running_values_take_in_a_hundredth_of_each_batch(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(40, length=50.0)
    loss = AdaFaceLoss(6, 5).double()
    lengths = embeddings.norm(dim=1).clamp(max=100)
    mean, std = 20.0, 100.0
    for _ in range(3):
        loss(embeddings, labels)
        mean = 0.99 * mean + 0.01 * lengths.mean().item()
        std = 0.99 * std + 0.01 * lengths.std().item()
    assert loss.mean.item() == pytest.approx(mean)
    assert loss.std.item() == pytest.approx(std)


def test_a_batch_of_one_has_no_deviation_to_take_in() -> None:
    loss = AdaFaceLoss(6, 5)
    loss(torch.ones(1, 6), torch.tensor([0]))
    assert loss.std.item() == 100
    assert loss.mean.item() < 20


def test_the_quality_has_no_gradient(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(length=20.0)
    loss = AdaFaceLoss(6, 5).double()
    given = embeddings.clone().requires_grad_()
    loss(given, labels).backward()
    assert given.grad is not None
    along = (given.grad * embeddings).sum(1)  # the direction in which only the length changes
    torch.testing.assert_close(along, torch.zeros_like(along))


def test_with_the_quality_held_the_gradient_is_the_derivative() -> None:
    cosine = torch.linspace(-0.85, 0.85, 9, dtype=torch.float64).requires_grad_()
    quality = torch.linspace(-1, 1, 9, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda c: adapted_cosine(c, 0.4, quality=quality), (cosine,))


def test_a_short_and_a_long_embedding_get_other_margins() -> None:
    loss = AdaFaceLoss(2, 2, concentration=1.0).double().eval()
    loss.mean.fill_(20)
    loss.std.fill_(5)
    with torch.no_grad():
        loss.weight.copy_(torch.eye(2))
    direction = torch.tensor([[0.8, 0.6]], dtype=torch.float64)
    label = torch.tensor([0])
    own = [
        loss.logits(Cosines.of(length * direction, loss.weight, label))[0, 0].item() / 64
        for length in (5, 20, 80)
    ]
    theta = math.acos(0.8)
    expected = [math.cos(theta + 0.4), 0.8 - 0.4, math.cos(theta - 0.4) - 0.8]
    assert own == pytest.approx(expected)


def test_a_momentum_that_is_no_share_is_refused() -> None:
    with pytest.raises(InputError, match="momentum"):
        AdaFaceLoss(4, 3, momentum=0)
