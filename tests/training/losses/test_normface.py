"""NormFace: the formula, an independent implementation, and the bound that the scale sets."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss

from vultus.training.losses import NormFaceLoss
from vultus.training.losses.normface import lowest_loss


def test_the_loss_is_the_formula(
    draw: Callable[..., Any], angles: Callable[..., Any], softmax_loop: Callable[..., Any]
) -> None:
    embeddings, labels = draw()
    loss = NormFaceLoss(6, 5, scale=16.0).double()
    logits = [[16 * math.cos(theta) for theta in row] for row in angles(embeddings, loss.weight)]
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.parametrize("scale", [1.0, 20.0, 64.0])
def test_the_loss_is_that_of_pytorch_metric_learning(scale: float, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw()
    ours = NormFaceLoss(6, 5, scale=scale).double()
    theirs = NormalizedSoftmaxLoss(5, 6, temperature=1 / scale).double()
    theirs.W.data = ours.weight.data.T.clone()
    torch.testing.assert_close(ours(embeddings, labels), theirs(embeddings, labels))


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_the_bound_is_reached_by_a_simplex_and_by_nothing_else(
    scale: float, draw: Callable[..., Any]
) -> None:
    """Proposition 2: the corners of a regular simplex are the best places for the classes."""
    corners = torch.eye(5, dtype=torch.float64) - 1 / 5
    loss = NormFaceLoss(5, 5, scale=scale).double()
    with torch.no_grad():
        loss.weight.copy_(corners)
    labels = torch.arange(5)
    assert loss(corners, labels).item() == pytest.approx(lowest_loss(5, scale=scale), abs=1e-9)
    with torch.no_grad():
        loss.weight.add_(0.1 * torch.randn(5, 5, dtype=torch.float64))
    assert loss(loss.weight.detach(), labels).item() > lowest_loss(5, scale=scale)


def test_without_a_scale_ten_thousand_classes_cannot_be_learned() -> None:
    assert lowest_loss(10_575, scale=1) == pytest.approx(8.27, abs=0.005)
    assert lowest_loss(10_575, scale=30) < 1e-8
    assert lowest_loss(10_575, scale=14) < 0.01 < lowest_loss(10_575, scale=13)
