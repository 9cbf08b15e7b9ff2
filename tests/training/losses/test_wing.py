"""Wing loss: two pieces that meet, and only where there are labels."""

import math

import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.training.losses.wing import WingLoss, wing


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    landmarks, targets = 8 * torch.randn(2, 4, 5, 2, generator=generator, dtype=torch.float64)
    return landmarks, targets, torch.rand(4, 5, generator=generator) < 0.6


def by_hand(x: float, *, w: float, epsilon: float) -> float:
    return w * math.log(1 + abs(x) / epsilon) if abs(x) < w else abs(x) - (w - w * math.log(1 + w / epsilon))


@pytest.mark.parametrize(("width", "curvature"), [(10.0, 2.0), (5.0, 0.5)])
def test_it_is_the_formula(width: float, curvature: float) -> None:
    landmarks, targets, is_labelled = batch()
    errors = (landmarks - targets)[is_labelled].flatten().tolist()
    assert min(map(abs, errors)) < width < max(map(abs, errors)), "both pieces"
    expected = [by_hand(x, w=width, epsilon=curvature) for x in errors]
    loss = WingLoss(width=width, curvature=curvature)(landmarks, targets, is_labelled)
    assert loss.item() == pytest.approx(sum(expected) / len(expected), abs=1e-9)


def test_the_pieces_meet() -> None:
    below, above = wing(torch.tensor([10 - 1e-9, 10.0], dtype=torch.float64), width=10.0, curvature=2.0)
    assert below.item() == pytest.approx(above.item(), abs=1e-8)


def test_small_errors_pull_hardest() -> None:
    errors = torch.tensor([0.01, 5.0, 20.0], dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(wing(errors, width=10.0, curvature=2.0).sum(), errors)[0]
    assert slopes.tolist() == pytest.approx([10 / 2.01, 10 / 7, 1])


def test_a_landmark_without_label_is_masked_whatever_stands_there() -> None:
    landmarks, targets, is_labelled = batch()
    landmarks.requires_grad_()
    junk = targets.masked_fill(~is_labelled[..., None], torch.nan)
    loss = WingLoss()(landmarks, junk, is_labelled)
    assert torch.equal(loss, WingLoss()(landmarks, targets, is_labelled))
    gradient = torch.autograd.grad(loss, landmarks)[0]
    assert torch.equal(gradient.abs().sum(2) > 0, is_labelled)


@pytest.mark.parametrize("count", [0, 3])
def test_no_label_is_a_loss_of_zero_with_a_graph(count: int) -> None:
    landmarks = torch.ones(count, 5, 2, requires_grad=True)
    loss = WingLoss()(landmarks, torch.zeros(count, 5, 2), torch.zeros(count, 5, dtype=torch.bool))
    assert loss.item() == 0
    loss.backward()


def test_an_exact_landmark_has_no_gradient_and_no_loss() -> None:
    landmarks = torch.ones(1, 5, 2, requires_grad=True)
    loss = WingLoss()(landmarks, torch.ones(1, 5, 2), torch.ones(1, 5, dtype=torch.bool))
    assert loss.item() == 0
    assert torch.autograd.grad(loss, landmarks)[0].abs().sum() == 0


def test_the_gradient_is_the_derivative() -> None:
    landmarks, targets, is_labelled = batch()
    assert torch.autograd.gradcheck(WingLoss(), (landmarks.requires_grad_(), targets, is_labelled))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype: torch.dtype) -> None:
    landmarks, targets, is_labelled = batch()
    with torch.autocast("cpu", dtype=dtype):
        loss = WingLoss()(landmarks.to(dtype), targets.to(dtype), is_labelled)
    exact = WingLoss()(landmarks.to(dtype).double(), targets.to(dtype).double(), is_labelled)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 10), (4, 5, 3)], ids=str)
def test_landmarks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="landmarks"):
        WingLoss()(torch.ones(shape), torch.ones(4, 5, 2), torch.ones(4, 5, dtype=torch.bool))


def test_a_mask_of_numbers_is_refused() -> None:
    with pytest.raises(ShapeError, match="is_labelled must be bool"):
        WingLoss()(torch.ones(4, 5, 2), torch.ones(4, 5, 2), torch.ones(4, 5))


@pytest.mark.parametrize("knobs", [{"width": 0.0}, {"curvature": -1.0}], ids=str)
def test_knobs_out_of_range_are_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        WingLoss(**knobs)
