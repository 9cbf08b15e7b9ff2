"""CosFace: the formula, an independent implementation, and where the margin goes."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import CosFaceLoss as TheirCosFaceLoss

from vultus.training.losses import CosFaceLoss
from vultus.training.losses.cosines import Cosines


def test_the_loss_is_the_formula(
    draw: Callable[..., Any], angles: Callable[..., Any], softmax_loop: Callable[..., Any]
) -> None:
    embeddings, labels = draw()
    loss = CosFaceLoss(6, 5).double()
    logits = [
        [64 * (math.cos(theta) - 0.35 * (j == y)) for j, theta in enumerate(row)]
        for row, y in zip(angles(embeddings, loss.weight), labels.tolist(), strict=True)
    ]
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.parametrize(("margin_cos", "scale"), [(0.0, 64.0), (0.35, 64.0), (0.2, 30.0)])
def test_the_loss_is_that_of_pytorch_metric_learning(
    margin_cos: float, scale: float, draw: Callable[..., Any]
) -> None:
    embeddings, labels = draw()
    ours = CosFaceLoss(6, 5, margin_cos=margin_cos, scale=scale).double()
    theirs = TheirCosFaceLoss(5, 6, margin=margin_cos, scale=scale).double()
    theirs.W.data = ours.weight.data.T.clone()
    torch.testing.assert_close(ours(embeddings, labels), theirs(embeddings, labels))


def test_the_margin_is_taken_from_the_cosine_of_the_own_class_only(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw()
    loss = CosFaceLoss(6, 5, margin_cos=0.35, scale=10.0).double()
    cosines = Cosines.of(embeddings, loss.weight, labels)
    taken = 10 * cosines.values - loss.logits(cosines)
    expected = torch.zeros(12, 5, dtype=torch.float64)
    expected[torch.arange(12), labels] = 3.5
    torch.testing.assert_close(taken, expected)
