"""Circle loss at class level and at pair level: the formula, and its deliberate gradient."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import CircleLoss as TheirCircleLoss
from torch import Tensor

from vultus.errors import ShapeError
from vultus.training.losses import CircleLoss, circle_pair_loss
from vultus.training.losses.circle import weigh_other, weigh_same


def circle(same: list[float], other: list[float], *, m: float, gamma: float) -> float:
    """Equation 6 for one anchor, as it stands; decimals, because the powers go beyond a float."""
    z_same = sum((Decimal(-gamma * max(1 + m - s, 0) * (s - (1 - m))).exp() for s in same), Decimal(0))
    z_other = sum(Decimal(gamma * max(s + m, 0) * (s - m)).exp() for s in other)
    return float((Decimal(1) + z_other * z_same).ln())


@pytest.mark.parametrize(("m", "gamma"), [(0.25, 256.0), (0.4, 80.0), (0.25, 1.0)])
def test_the_class_level_is_the_formula(
    m: float, gamma: float, draw: Callable[..., Any], angles: Callable[..., Any]
) -> None:
    embeddings, labels = draw()
    loss = CircleLoss(6, 5, margin_cos=m, scale=gamma).double()
    losses = []
    for row, y in zip(angles(embeddings, loss.weight), labels.tolist(), strict=True):
        others = [math.cos(theta) for j, theta in enumerate(row) if j != y]
        losses.append(circle([math.cos(row[y])], others, m=m, gamma=gamma))
    assert loss(embeddings, labels).item() == pytest.approx(sum(losses) / 12, abs=1e-6)


@pytest.mark.parametrize(("m", "gamma"), [(0.25, 256.0), (0.4, 80.0), (0.25, 1.0)])
def test_the_pair_level_is_the_formula(
    m: float, gamma: float, draw: Callable[..., Any], angles: Callable[..., Any]
) -> None:
    embeddings, labels = draw()
    labels[0] = 4  # alone: no anchor
    losses = []
    for i, row in enumerate(angles(embeddings, embeddings)):
        same = [math.cos(t) for j, t in enumerate(row) if j != i and labels[j] == labels[i]]
        other = [math.cos(t) for j, t in enumerate(row) if labels[j] != labels[i]]
        if same and other:
            losses.append(circle(same, other, m=m, gamma=gamma))
    assert len(losses) > 5
    value = circle_pair_loss(embeddings, labels, margin_cos=m, scale=gamma)
    assert value.item() == pytest.approx(sum(losses) / len(losses), abs=1e-6)


@pytest.mark.parametrize(("m", "gamma"), [(0.25, 256.0), (0.4, 80.0)])
def test_the_pair_level_is_that_of_pytorch_metric_learning(
    m: float, gamma: float, draw: Callable[..., Any]
) -> None:
    """Theirs averages over the anchors whose loss is above 0: all that have both, short of underflow."""
    embeddings, labels = draw()
    ours, theirs = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    value = circle_pair_loss(ours, labels, margin_cos=m, scale=gamma)
    value_theirs = TheirCircleLoss(m=m, gamma=gamma)(theirs, labels)
    torch.testing.assert_close(value, value_theirs)
    torch.autograd.backward(value + value_theirs)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("weigh", [weigh_same, weigh_other])
def test_the_weights_have_no_gradient(weigh: Callable[[Tensor, float], Tensor]) -> None:
    cosine = torch.linspace(-0.9, 0.9, 7, requires_grad=True)
    (slope,) = torch.autograd.grad(weigh(cosine, 0.25).sum(), cosine)
    wide = cosine.detach()
    torch.testing.assert_close(slope, 1.25 - wide if weigh is weigh_same else (wide + 0.25).clamp(min=0))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
def test_without_an_anchor_the_pair_loss_is_zero_and_can_go_backward(labels: list[int]) -> None:
    embeddings = torch.randn(len(labels), 4, requires_grad=True)
    value = circle_pair_loss(embeddings, torch.tensor(labels))
    assert value.item() == 0
    torch.autograd.backward(value)
    assert embeddings.grad is not None
    assert (embeddings.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_pair_loss_is_finite_for_twins_and_opposites_under_autocast(dtype: torch.dtype) -> None:
    row = torch.tensor([1.0, 2.0, 3.0])
    embeddings = torch.stack([row, row, -row, -row]).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        value = circle_pair_loss(embeddings, torch.tensor([0, 1, 0, 1]))
    torch.autograd.backward(value)
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(3,\), got \(2,\)"):
        circle_pair_loss(torch.ones(3, 4), torch.tensor([0, 1]))
