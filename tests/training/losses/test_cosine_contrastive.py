"""The cosine-margin pair loss, which is not Hadsell's."""

import math

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.training.losses.contrastive import contrastive
from vultus.training.losses.cosine_contrastive import CosineContrastiveLoss, cosine_contrastive


def pairs(count: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, count, 4, generator=generator, dtype=torch.float64)
    return first, second, torch.arange(count) % 3 == 0


def test_it_is_the_formula() -> None:
    first, second, is_same = pairs()
    by_hand = []
    for u, v, same in zip(first.tolist(), second.tolist(), is_same.tolist(), strict=True):
        cos = sum(a * b for a, b in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))
        by_hand.append(1 - cos if same else max(0.0, cos - 0.1))
    assert cosine_contrastive(first, second, is_same, margin_cos=0.1).tolist() == pytest.approx(
        by_hand, abs=1e-12
    )
    assert 0 in by_hand, "some are apart already"


@pytest.mark.parametrize("margin_cos", [0.0, 0.3])
def test_it_is_the_loss_of_pytorch(margin_cos: float) -> None:
    first, second, is_same = pairs()
    theirs = nn.CosineEmbeddingLoss(margin=margin_cos)(first, second, torch.where(is_same, 1, -1))
    ours = CosineContrastiveLoss(margin_cos=margin_cos)(first, second, is_same)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_it_is_hadsells_for_the_same_person_and_another_for_different_ones() -> None:
    first, second, _ = pairs()
    u, v = nn.functional.normalize(first), nn.functional.normalize(second)
    yes, no = torch.ones(9, dtype=torch.bool), torch.zeros(9, dtype=torch.bool)
    assert torch.allclose(
        cosine_contrastive(u, v, yes, margin_cos=0.0), contrastive(u, v, yes, margin_l2=1.0), atol=1e-12
    )
    assert not torch.allclose(
        cosine_contrastive(u, v, no, margin_cos=-1.0), contrastive(u, v, no, margin_l2=2.0), atol=0.01
    )


def test_the_lengths_do_not_matter() -> None:
    first, second, is_same = pairs()
    loss = CosineContrastiveLoss()
    assert loss(7 * first, second / 3, is_same).item() == pytest.approx(loss(first, second, is_same).item())


def test_near_pictures_of_one_person_do_not_cancel() -> None:
    """1 - cos in float32 is 0 or 6e-8 here."""
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1e-4]])
    loss = cosine_contrastive(first, second, torch.tensor([True]), margin_cos=0.5)
    assert loss.item() == pytest.approx(5e-9, rel=1e-4)


def test_a_number_is_no_answer_to_same_or_not() -> None:
    with pytest.raises(ShapeError, match="is_same must be bool"):
        CosineContrastiveLoss()(torch.ones(2, 3), torch.ones(2, 3), torch.tensor([1, 0]))


@pytest.mark.parametrize("margin_cos", [1.0, -1.1, float("nan")])
def test_a_margin_that_is_no_cosine_is_refused(margin_cos: float) -> None:
    with pytest.raises(InputError, match="margin_cos"):
        CosineContrastiveLoss(margin_cos=margin_cos)
