"""The combined margin: the formula, its tail, and the three margins it holds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from vultus.errors import InputError
from vultus.training.losses import ArcFaceLoss, ASoftmaxLoss, CombinedMarginLoss, CosFaceLoss
from vultus.training.losses.combined_margin import falling_cosine
from vultus.training.losses.cosines import Cosines

MIXTURES = [(1.0, 0.3, 0.2), (0.9, 0.4, 0.15), (1.35, 0.1, 0.0), (4.0, 0.5, 0.1)]


def phi(theta: float, factor: float, margin_rad: float) -> float:
    total = factor * theta + margin_rad
    k = max(math.ceil(total / math.pi) - 1, 0)
    return (1 - 2 * (k % 2)) * math.cos(total) - 2 * k


@pytest.mark.parametrize(("factor", "margin_rad", "margin_cos"), MIXTURES)
def test_the_loss_is_the_formula(
    factor: float,
    margin_rad: float,
    margin_cos: float,
    draw: Callable[..., Any],
    angles: Callable[..., Any],
    softmax_loop: Callable[..., Any],
) -> None:
    embeddings, labels = draw(40)
    options = {"factor": factor, "margin_rad": margin_rad, "margin_cos": margin_cos}
    loss = CombinedMarginLoss(6, 5, **options).double()
    logits = [
        [
            64 * (phi(theta, factor, margin_rad) - margin_cos if j == y else math.cos(theta))
            for j, theta in enumerate(row)
        ]
        for row, y in zip(angles(embeddings, loss.weight), labels.tolist(), strict=True)
    ]
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.parametrize("factor", [1.0, 0.9, 1.35, 4.0])
@pytest.mark.parametrize("margin_rad", [0.0, 0.5, 3.0])
def test_the_cosine_falls_over_the_whole_half_turn(factor: float, margin_rad: float) -> None:
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    values = falling_cosine(factor * theta + margin_rad)
    assert (values.diff() < 0).all()
    assert values.diff().min() > -0.01 * factor  # and without a step


def test_subtracting_alone_is_cosface(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(40)
    combined = CombinedMarginLoss(6, 5, margin_rad=0, margin_cos=0.35).double()
    cosface = CosFaceLoss(6, 5, margin_cos=0.35).double()
    cosface.load_state_dict(combined.state_dict())
    torch.testing.assert_close(combined(embeddings, labels), cosface(embeddings, labels))


def test_adding_alone_is_arcface_before_its_tail(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(40)
    combined = CombinedMarginLoss(6, 5, margin_rad=0.5, margin_cos=0).double()
    arcface = ArcFaceLoss(6, 5, margin_rad=0.5).double()
    arcface.load_state_dict(combined.state_dict())
    assert (Cosines.of(embeddings, arcface.weight, labels).target > math.cos(math.pi - 0.5)).all()
    torch.testing.assert_close(combined(embeddings, labels), arcface(embeddings, labels))


def test_multiplying_alone_is_a_softmax_on_unit_vectors(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(40)
    units = torch.nn.functional.normalize(embeddings)
    combined = CombinedMarginLoss(6, 5, factor=4, margin_rad=0, margin_cos=0, scale=20).double()
    sphereface = ASoftmaxLoss(6, 5, factor=4, annealing=None).double()
    with torch.no_grad():
        sphereface.weight.copy_(combined.weight)
    torch.testing.assert_close(combined(embeddings, labels), sphereface(20 * units, labels))


@pytest.mark.parametrize("options", [{"factor": 0.0}, {"margin_rad": 17.0}])
def test_what_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        CombinedMarginLoss(4, 3, **options)
