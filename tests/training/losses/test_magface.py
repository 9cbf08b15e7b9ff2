"""MagFace: the formula, how the margin grows, and where the penalty pulls the length."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from vultus.errors import InputError
from vultus.training.losses import ArcFaceLoss, MagFaceLoss


def test_the_loss_is_the_formula(
    draw: Callable[..., Any], angles: Callable[..., Any], softmax_loop: Callable[..., Any]
) -> None:
    embeddings, labels = draw(40, length=60.0)
    embeddings[0] *= 0.01  # shorter than l_a
    embeddings[1] *= 100  # longer than u_a
    loss = MagFaceLoss(6, 5).double()
    logits, penalties = [], []
    for x, row, y in zip(embeddings.tolist(), angles(embeddings, loss.weight), labels.tolist(), strict=True):
        a = min(max(math.hypot(*x), 10), 110)
        m = 0.45 + (0.8 - 0.45) / (110 - 10) * (a - 10)
        is_tail = math.cos(row[y]) <= math.cos(math.pi - m)
        own = math.cos(row[y]) - m * math.sin(m) if is_tail else math.cos(row[y] + m)
        logits.append([64 * (own if j == y else math.cos(theta)) for j, theta in enumerate(row)])
        penalties.append(1 / a + a / 110**2)
    expected = softmax_loop(logits, labels.tolist()) + 35 * sum(penalties) / 40
    assert loss(embeddings, labels).item() == pytest.approx(expected, abs=1e-6)


def test_with_one_margin_and_no_penalty_it_is_arcface(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(40, length=60.0)
    magface = MagFaceLoss(6, 5, margin_range_rad=(0.5, 0.5), penalty_weight=0).double()
    arcface = ArcFaceLoss(6, 5, margin_rad=0.5).double()
    arcface.load_state_dict(magface.state_dict())
    torch.testing.assert_close(magface(embeddings, labels), arcface(embeddings, labels))


def test_the_penalty_falls_to_its_least_at_the_upper_length() -> None:
    loss = MagFaceLoss(4, 3)
    penalties = torch.stack([loss.penalty(torch.tensor([a])) for a in (10.0, 30.0, 60.0, 90.0, 110.0)])
    assert (penalties.diff() < 0).all()
    assert penalties[-1].item() == pytest.approx(35 * 2 / 110)
    assert loss.penalty(torch.tensor([500.0])) == penalties[-1]


def test_an_easy_face_grows_and_a_hard_one_shrinks() -> None:
    """The idea of the paper: far from its class, the smaller margin is worth more than the penalty."""
    loss = MagFaceLoss(2, 2, penalty_weight=35.0).double()
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    pulls = []
    for theta in (0.05, 1.4):
        face = torch.tensor([[math.cos(theta), math.sin(theta)]], dtype=torch.float64) * 50
        face.requires_grad_()
        loss(face, torch.tensor([0])).backward()
        assert face.grad is not None
        pulls.append((face.grad * face.detach()).sum().item())  # d loss / d log length
    easy, hard = pulls
    assert easy < 0 < hard


@pytest.mark.parametrize("length", [5.0, 200.0])
def test_outside_the_range_the_length_has_no_gradient(length: float) -> None:
    loss = MagFaceLoss(2, 2).double()
    face = torch.tensor([[0.6 * length, 0.8 * length]], dtype=torch.float64, requires_grad=True)
    loss(face, torch.tensor([0])).backward()
    assert face.grad is not None
    assert (face.grad * face.detach()).sum().item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length_range": (110.0, 10.0)}, "length_range"),
        ({"length_range": (0.0, 10.0)}, "length_range"),
        ({"margin_range_rad": (0.8, 0.45)}, "margin_range_rad"),
        ({"margin_range_rad": (0.45, 40.0)}, "degrees"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MagFaceLoss(4, 3, **options)
