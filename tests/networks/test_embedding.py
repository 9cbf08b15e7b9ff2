"""What the embedding networks share."""

import pytest
import torch

from vultus.errors import ShapeError
from vultus.networks.embedding import Feature, check_crop_size, unit, widen


def test_half_precision_rows_become_unit_rows_in_float32() -> None:
    raw = torch.randn(64, 512, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    embedding = unit(raw)
    assert embedding.dtype == torch.float32
    assert (embedding.norm(dim=1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wide_values_pass_untouched(dtype: torch.dtype) -> None:
    values = torch.randn(3, 4, dtype=dtype)
    assert widen(values) is values


def test_a_feature_holds_both_sides() -> None:
    raw = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
    feature = Feature.of(raw)
    assert feature.raw is raw
    assert torch.allclose(feature.embedding, torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_a_row_of_zeros_stays_finite() -> None:
    assert not unit(torch.zeros(2, 3)).any()


def test_crops_of_another_size_are_refused_with_both_sizes() -> None:
    check_crop_size(torch.zeros(1, 3, 112, 96), (112, 96))
    with pytest.raises(ShapeError, match=r"\(112, 96\).*\(96, 112\)"):
        check_crop_size(torch.zeros(1, 3, 96, 112), (112, 96))
