"""A-Softmax: the formula, and an independent implementation."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import SphereFaceLoss

from vultus.training.losses import ASoftmaxLoss
from vultus.training.losses.multiplied_angle import Annealing

FACTORS = pytest.mark.parametrize("factor", [1, 2, 3, 4])


def psi(theta: float, factor: int) -> float:
    k = min(int(theta * factor / math.pi), factor - 1)
    return (1 - 2 * (k % 2)) * math.cos(factor * theta) - 2 * k


@FACTORS
@pytest.mark.parametrize("share", [0.0, 5.0])
def test_the_loss_is_the_formula(
    factor: int,
    share: float,
    draw: Callable[..., Any],
    angles: Callable[..., Any],
    softmax_loop: Callable[..., Any],
) -> None:
    embeddings, labels = draw(40, length=8.0)
    annealing = Annealing(start=share, floor=share) if share else None
    loss = ASoftmaxLoss(6, 5, factor=factor, annealing=annealing).double()
    with torch.no_grad():
        loss.weight.mul_(70)
    logits = []
    for x, row, y in zip(embeddings.tolist(), angles(embeddings, loss.weight), labels.tolist(), strict=True):
        own = (share * math.cos(row[y]) + psi(row[y], factor)) / (1 + share)
        values = [own if j == y else math.cos(theta) for j, theta in enumerate(row)]
        logits.append([math.hypot(*x) * value for value in values])
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # theirs gives a tensor to SciPy
@FACTORS
def test_the_loss_is_that_of_pytorch_metric_learning(factor: int, draw: Callable[..., Any]) -> None:
    """Theirs has no annealing; its further scale is 1."""
    embeddings, labels = draw(40, length=8.0)
    ours = ASoftmaxLoss(6, 5, factor=factor, annealing=None).double()
    theirs = SphereFaceLoss(5, 6, margin=factor).double()
    theirs.W.data = ours.weight.data.T.clone()
    torch.testing.assert_close(ours(embeddings, labels), theirs(embeddings, labels))


def test_training_starts_near_the_plain_softmax_and_hardens(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(length=8.0)
    loss = ASoftmaxLoss(6, 5).double()
    plain = ASoftmaxLoss(6, 5, factor=1).double()
    plain.load_state_dict(loss.state_dict())
    first = loss(embeddings, labels)
    assert first.item() == pytest.approx(plain(embeddings, labels).item(), rel=0.02)
    loss.margin.step.fill_(10**6)
    assert loss(embeddings, labels) > first + 0.5
