"""CIoU: the formula, its constant weight, and boxes that are flat, apart or the same."""

import math

import pytest
import torch
from torch import Tensor

from vultus.training.losses.ciou import ciou


def boxes(count: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    both = torch.rand(2, count, 4, generator=generator, dtype=torch.float64) + 0.2
    return both[0], both[1]


def by_hand(a: list[float], b: list[float], *, alpha: float | None = None) -> float:
    sides = [(box[i] - box[i + 2] / 2, box[i] + box[i + 2] / 2) for box in (a, b) for i in (0, 1)]
    (ax1, ax2), (ay1, ay2), (bx1, bx2), (by1, by2) = sides
    overlap = max(0, min(ax2, bx2) - max(ax1, bx1)) * max(0, min(ay2, by2) - max(ay1, by1))
    iou = overlap / (a[2] * a[3] + b[2] * b[3] - overlap)
    c2 = (max(ax2, bx2) - min(ax1, bx1)) ** 2 + (max(ay2, by2) - min(ay1, by1)) ** 2
    rho2 = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    v = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    return iou - rho2 / c2 - (v / (1 - iou + v) if alpha is None else alpha) * v


def test_it_is_the_formula() -> None:
    first, second = boxes()
    expected = [by_hand(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert ciou(first, second).tolist() == pytest.approx(expected, abs=1e-9)
    assert min(expected) < 0 < max(expected), "some are apart"


def test_the_gradient_is_the_derivative_with_alpha_held() -> None:
    a, b = [0.5, 0.6, 0.8, 0.4], [0.6, 0.5, 0.5, 0.7]
    v = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    overlap_only = by_hand(a, b, alpha=0.0)
    alpha = (overlap_only - by_hand(a, b)) / v
    box = torch.tensor([a], dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(ciou(box, torch.tensor([b], dtype=torch.float64)).sum(), box)[0][0]
    step = 1e-6
    for i in range(4):
        up, down = ([value + sign * step * (i == j) for j, value in enumerate(a)] for sign in (1, -1))
        slope = (by_hand(up, b, alpha=alpha) - by_hand(down, b, alpha=alpha)) / (2 * step)
        assert gradient[i].item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([5, 5, 2, 4], [5, 5, 2, 4], 1.0),
        ([0, 0, 2, 2], [4, 0, 2, 2], -16 / 40),
        ([0, 0, 2, 2], [2, 0, 2, 2], -4 / 20),
        ([3, 3, 0, 0], [3, 3, 0, 0], 0.0),
    ],
    ids=["equal", "apart", "touching", "points"],
)
def test_by_hand(first: list[float], second: list[float], expected: float) -> None:
    assert ciou(torch.tensor([first]).float(), torch.tensor([second]).float()).item() == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    "box",
    [[5, 5, 2, 4], [9, 9, 2, 4], [5, 5, 0, 4], [5, 5, 2, 0], [5, 5, 0, 0], [5, 5, 1e-20, 1e-20]],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_any_box_has_a_finite_value_and_gradient(box: list[float], dtype: torch.dtype) -> None:
    first = torch.tensor([box]).to(dtype).requires_grad_()
    value = ciou(first, torch.tensor([[5.0, 5.0, 2.0, 4.0]], dtype=dtype))
    assert value.dtype == torch.float32
    assert -1.5 <= value.item() <= 1
    assert torch.autograd.grad(value.sum(), first)[0].isfinite().all()


def test_boxes_apart_are_pulled_together() -> None:
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0]], requires_grad=True)
    gradient = torch.autograd.grad(ciou(first, torch.tensor([[9.0, 0.0, 2.0, 2.0]])).sum(), first)[0][0]
    assert gradient[0] > 0, "to the right"
