"""Softmax: the formula with label smoothing, and why it must not be fed unit vectors."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from vultus.errors import InputError
from vultus.training.losses import SoftmaxLoss


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_formula(label_smoothing: float, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw()
    loss = SoftmaxLoss(6, 5, label_smoothing=label_smoothing).double()
    with torch.no_grad():
        loss.bias.copy_(torch.linspace(-1, 1, 5))
    losses = []
    for x, y in zip(embeddings.tolist(), labels.tolist(), strict=True):
        logits = [
            sum(a * b for a, b in zip(w, x, strict=True)) + bias
            for w, bias in zip(loss.weight.tolist(), loss.bias.tolist(), strict=True)
        ]
        log_z = math.log(sum(math.exp(logit) for logit in logits))
        shares = [(1 - label_smoothing) * (j == y) + label_smoothing / 5 for j in range(5)]
        losses.append(-sum(q * (logit - log_z) for q, logit in zip(shares, logits, strict=True)))
    assert loss(embeddings, labels).item() == pytest.approx(sum(losses) / 12, abs=1e-6)


def test_unit_vectors_and_unit_weights_cannot_converge() -> None:
    """The best case, own class at cosine 1 and all 10,574 others at -1, costs 7.27."""
    loss = SoftmaxLoss(1, 10_575)
    with torch.no_grad():
        loss.weight.fill_(-1)
        loss.weight[0] = 1
    label = torch.zeros(1, dtype=torch.int64)
    assert loss(torch.ones(1, 1), label).item() == pytest.approx(7.27, abs=0.005)
    assert loss(torch.full((1, 1), 10.0), label).item() < 1e-4  # a longer embedding can


def test_a_confident_answer_costs_more_with_smoothing() -> None:
    embedding, label = torch.full((1, 1), 50.0), torch.zeros(1, dtype=torch.int64)
    sharp, smooth = SoftmaxLoss(1, 2), SoftmaxLoss(1, 2, label_smoothing=0.1)
    with torch.no_grad():
        for loss in (sharp, smooth):
            loss.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    assert sharp(embedding, label).item() == pytest.approx(0, abs=1e-6)
    assert smooth(embedding, label).item() == pytest.approx(0.05 * 100, rel=1e-5)


def test_a_hopeless_logit_does_not_underflow() -> None:
    loss = SoftmaxLoss(1, 2)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    embedding = torch.full((1, 1), 500.0, requires_grad=True)
    value = loss(embedding, torch.zeros(1, dtype=torch.int64))
    assert value.item() == 1000
    value.backward()
    assert embedding.grad is not None
    assert embedding.grad.item() == pytest.approx(2)


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.0])
def test_a_smoothing_that_is_no_share_is_refused(label_smoothing: float) -> None:
    with pytest.raises(InputError, match="label_smoothing"):
        SoftmaxLoss(2, 2, label_smoothing=label_smoothing)


def test_it_learns_what_can_be_told_apart() -> None:
    embeddings = F.one_hot(torch.arange(4)).float() * 5
    loss = SoftmaxLoss(4, 4)
    optimizer = torch.optim.SGD(loss.parameters(), lr=1)
    for _ in range(50):
        optimizer.zero_grad()
        value = loss(embeddings, torch.arange(4))
        value.backward()
        optimizer.step()
    assert value.item() < 0.05
