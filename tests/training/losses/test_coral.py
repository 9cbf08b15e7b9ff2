"""Deep CORAL: covariances by a loop, and what it cannot see."""

import pytest
import torch
from torch import Tensor

from vultus.errors import ShapeError
from vultus.training.losses.coral import CoralLoss, covariance


def domains() -> tuple[Tensor, Tensor]:
    rows = torch.randn(11, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return rows[:6], 2 * rows[6:] + 1


def covariance_by_loop(rows: list[list[float]]) -> list[list[float]]:
    n, d = len(rows), len(rows[0])
    mean = [sum(row[i] for row in rows) / n for i in range(d)]
    return [
        [sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in rows) / (n - 1) for j in range(d)]
        for i in range(d)
    ]


def test_it_is_the_formula() -> None:
    source, target = domains()
    a, b = covariance_by_loop(source.tolist()), covariance_by_loop(target.tolist())
    expected = sum((a[i][j] - b[i][j]) ** 2 for i in range(3) for j in range(3)) / (4 * 3**2)
    assert CoralLoss()(source, target).item() == pytest.approx(expected, abs=1e-12)


def test_the_covariance_is_that_of_torch() -> None:
    source, _ = domains()
    assert torch.allclose(covariance(source), source.T.cov(), atol=1e-12)


def test_it_is_zero_for_alike_domains_and_blind_to_a_shift() -> None:
    source, _ = domains()
    assert CoralLoss()(source, source).item() == 0
    assert CoralLoss()(source, source + 5).item() == pytest.approx(0, abs=1e-12)


def test_a_common_offset_does_not_cancel_in_float32() -> None:
    """X^T X - n mean mean^T, as printed, is wrong in the first digit here."""
    source, target = (rows.float() for rows in domains())
    far = CoralLoss()(source + 1000, target + 1000).item()
    assert far == pytest.approx(CoralLoss()(source, target).item(), rel=1e-2)


def test_both_domains_must_be_in_the_batch() -> None:
    with pytest.raises(ShapeError, match="two rows of each domain"):
        CoralLoss()(torch.ones(4, 3), torch.ones(1, 3))
