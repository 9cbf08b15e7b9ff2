"""ArcFace: the formula with its tail, independent implementations, its forms, the gradient at the ends."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss as TheirArcFaceLoss
from pytorch_metric_learning.losses import SubCenterArcFaceLoss

from vultus.errors import InputError
from vultus.training.losses import ArcFaceLoss
from vultus.training.losses.arcface import add_angle, easy_margin
from vultus.training.losses.cosines import Cosines, angle, sine

THETA = torch.linspace(0, math.pi, 1001, dtype=torch.float64)


def phi(theta: float, margin_rad: float) -> float:
    if math.cos(theta) <= math.cos(math.pi - margin_rad):
        return math.cos(theta) - margin_rad * math.sin(margin_rad)
    return math.cos(theta + margin_rad)


@pytest.mark.parametrize("margin_rad", [0.0, 0.3, 0.5, 1.2])
def test_the_loss_is_the_formula(
    margin_rad: float, draw: Callable[..., Any], angles: Callable[..., Any], softmax_loop: Callable[..., Any]
) -> None:
    embeddings, labels = draw(40)
    loss = ArcFaceLoss(6, 5, margin_rad=margin_rad).double()
    with torch.no_grad():  # one face far beyond pi - m
        embeddings[0] = -loss.weight[labels[0]] + 0.1 * embeddings[0] * loss.weight.norm()
    logits = [
        [64 * (phi(theta, margin_rad) if j == y else math.cos(theta)) for j, theta in enumerate(row)]
        for row, y in zip(angles(embeddings, loss.weight), labels.tolist(), strict=True)
    ]
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 28.6, 60.0])
@pytest.mark.parametrize("centre_count", [1, 3])
def test_loss_and_gradients_are_those_of_pytorch_metric_learning(
    degrees: float, centre_count: int, draw: Callable[..., Any]
) -> None:
    """Their margin is in degrees, and their weights lie (D, C * K)."""
    embeddings, labels = draw(40)
    ours = ArcFaceLoss(6, 5, margin_rad=math.radians(degrees), centre_count=centre_count).double()
    options = {"num_classes": 5, "embedding_size": 6, "margin": degrees}
    theirs = SubCenterArcFaceLoss(**options) if centre_count > 1 else TheirArcFaceLoss(**options)
    theirs.W.data = ours.weight.data.reshape(5 * centre_count, 6).T.clone()
    given, given_theirs = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    value, value_theirs = ours(given, labels), theirs(given_theirs, labels)
    torch.testing.assert_close(value, value_theirs)
    value.backward()
    value_theirs.backward()
    torch.testing.assert_close(given.grad, given_theirs.grad)
    assert ours.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad.reshape(-1, 6).T, theirs.W.grad)


def test_phi_adds_the_angle_then_falls_on() -> None:
    expected = [phi(theta, 0.5) for theta in THETA.tolist()]
    torch.testing.assert_close(add_angle(THETA.cos(), 0.5), torch.tensor(expected, dtype=torch.float64))
    assert (add_angle(THETA.cos(), 0.5).diff() < 0).all()


def test_a_margin_per_face_is_the_margin_of_that_face() -> None:
    margins = torch.linspace(0, 1, 7)
    cosines = torch.linspace(-0.9, 0.9, 7)
    one_by_one = [add_angle(c, float(m)) for c, m in zip(cosines, margins, strict=True)]
    torch.testing.assert_close(add_angle(cosines, margins), torch.stack(one_by_one))


def test_the_easy_margin_holds_below_a_right_angle() -> None:
    theta = torch.tensor([0.0, 1.0, 1.5, 1.6, 2.5], dtype=torch.float64)
    expected = [math.cos(t + 0.5) if t < math.pi / 2 else math.cos(t) for t in theta.tolist()]
    torch.testing.assert_close(easy_margin(theta.cos(), 0.5), torch.tensor(expected, dtype=torch.float64))
    assert easy_margin(torch.tensor(0.0), 0.5) == 0  # cos > 0, not >=


def test_straight_through_has_the_same_value_and_derivative_one(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(40)
    loss = ArcFaceLoss(6, 5, form="straight_through").double()
    exact = ArcFaceLoss(6, 5).double()
    exact.load_state_dict(loss.state_dict())
    torch.testing.assert_close(loss(embeddings, labels), exact(embeddings, labels))
    cosines = Cosines.of(embeddings, loss.weight, labels)
    (slope,) = torch.autograd.grad(loss.logits(cosines).sum(), cosines.values)
    torch.testing.assert_close(slope, torch.full_like(slope, 64.0))


def test_the_exact_derivative_is_that_of_the_formula() -> None:
    theta = torch.linspace(0.01, math.pi - 0.51, 50, dtype=torch.float64)
    cosine = theta.cos().requires_grad_()
    (slope,) = torch.autograd.grad(add_angle(cosine, 0.5).sum(), cosine)
    torch.testing.assert_close(slope, (theta + 0.5).sin() / theta.sin())


@pytest.mark.parametrize("exponent", range(-9, 0))
@pytest.mark.parametrize("side", [1, -1])
def test_near_the_ends_the_gradient_of_the_embedding_stays_small(exponent: int, side: int) -> None:
    """d cos is infinite there; d embedding is at most scale / length per logit, whatever rounding does."""
    loss = ArcFaceLoss(2, 2)
    with torch.no_grad():
        loss.weight.copy_(torch.eye(2))
    theta = 10.0**exponent
    embedding = torch.tensor([[side * math.cos(theta), math.sin(theta)]], requires_grad=True)
    loss(embedding, torch.tensor([0])).backward()
    assert embedding.grad is not None
    assert embedding.grad.norm() <= 2 * 64


def test_the_nearest_sub_centre_speaks_for_the_class() -> None:
    weight = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, -1.0]]])
    cosines = Cosines.of(torch.tensor([[0.6, 0.8]]), weight, torch.tensor([0]))
    torch.testing.assert_close(cosines.values, torch.tensor([[0.8, -0.6]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_sine_and_angle_are_exact_and_their_slopes_finite(dtype: torch.dtype) -> None:
    cosine = THETA.cos().to(dtype).requires_grad_()
    torch.testing.assert_close(
        sine(cosine).detach(), (1 - cosine.detach().double() ** 2).clamp(0).sqrt().to(dtype)
    )
    torch.testing.assert_close(angle(cosine).detach().double(), cosine.detach().double().acos())
    (slope,) = torch.autograd.grad(sine(cosine).sum() + angle(cosine).sum(), cosine)
    assert torch.isfinite(slope).all()
    beyond = torch.tensor([1 + 1e-6, -1 - 1e-6], dtype=dtype)  # what rounding makes of 1
    assert sine(beyond).tolist() == [0, 0]
    torch.testing.assert_close(angle(beyond), torch.tensor([0, math.pi], dtype=dtype))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin_rad": 28.6}, "degrees"),
        ({"margin_rad": -0.1}, "margin_rad"),
        ({"centre_count": 0}, "centre_count"),
        ({"form": "quick"}, "exact, straight_through, easy"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ArcFaceLoss(4, 3, **options)
