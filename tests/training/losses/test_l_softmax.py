"""L-Softmax: the formula, and an independent implementation."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import LargeMarginSoftmaxLoss

from vultus.training.losses import LSoftmaxLoss
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
    loss = LSoftmaxLoss(6, 5, factor=factor, annealing=annealing).double()
    with torch.no_grad():
        loss.weight.mul_(70)
    logits = []
    for x, row, y in zip(embeddings.tolist(), angles(embeddings, loss.weight), labels.tolist(), strict=True):
        own = (share * math.cos(row[y]) + psi(row[y], factor)) / (1 + share)
        values = [own if j == y else math.cos(theta) for j, theta in enumerate(row)]
        lengths = [math.hypot(*x) * math.hypot(*w) for w in loss.weight.tolist()]
        logits.append([length * value for length, value in zip(lengths, values, strict=True)])
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # theirs gives a tensor to SciPy
@FACTORS
def test_the_loss_is_that_of_pytorch_metric_learning(factor: int, draw: Callable[..., Any]) -> None:
    """Theirs has no annealing; its further scale is 1."""
    embeddings, labels = draw(40, length=8.0)
    ours = LSoftmaxLoss(6, 5, factor=factor, annealing=None).double()
    theirs = LargeMarginSoftmaxLoss(5, 6, margin=factor).double()
    theirs.W.data = ours.weight.data.T.clone()
    torch.testing.assert_close(ours(embeddings, labels), theirs(embeddings, labels))


def test_a_factor_of_one_is_the_inner_product(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(length=8.0)
    loss = LSoftmaxLoss(6, 5, factor=1).double()
    expected = torch.nn.functional.cross_entropy(embeddings @ loss.weight.T, labels)
    torch.testing.assert_close(loss(embeddings, labels), expected)
