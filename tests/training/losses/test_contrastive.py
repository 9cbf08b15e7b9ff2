"""Contrastive loss: Hadsell's squares, and which label means "same"."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as oracle
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import DoNothingReducer
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.networks.siamese import Siamese
from vultus.training.losses.contrastive import ContrastiveLoss, contrastive


def pairs(count: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, count, 4, generator=generator, dtype=torch.float64)
    return first, second, torch.arange(count) % 3 == 0


def test_it_is_the_formula() -> None:
    first, second, is_same = pairs()
    by_hand = []
    for u, v, same in zip(first.tolist(), second.tolist(), is_same.tolist(), strict=True):
        d = math.dist(u, v)
        by_hand.append(d**2 / 2 if same else max(0.0, 2.5 - d) ** 2 / 2)
    losses = contrastive(first, second, is_same, margin_l2=2.5)
    assert losses.tolist() == pytest.approx(by_hand, abs=1e-12)
    assert ContrastiveLoss(margin_l2=2.5)(first, second, is_same).item() == pytest.approx(sum(by_hand) / 9)


def test_pytorch_metric_learning_agrees_once_its_hinges_are_squared() -> None:
    """Its loss has neither the square nor the half: d and max(0, m - d)."""
    first, second, is_same = pairs()
    count = len(first)
    indices = torch.arange(count)
    same, different = indices[is_same], indices[~is_same]
    theirs = oracle.ContrastiveLoss(
        neg_margin=2.5, distance=LpDistance(normalize_embeddings=False), reducer=DoNothingReducer()
    )(torch.cat([first, second]), indices_tuple=(same, same + count, different, different + count))
    ours = contrastive(first, second, is_same, margin_l2=2.5)
    assert torch.allclose(ours[is_same], theirs["pos_loss"]["losses"] ** 2 / 2, atol=1e-6)
    assert torch.allclose(ours[~is_same], theirs["neg_loss"]["losses"] ** 2 / 2, atol=1e-6)


def test_true_means_the_same_person() -> None:
    near = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.1, 0.0]])
    assert contrastive(*near, torch.tensor([True]), margin_l2=1.0).item() == pytest.approx(0.005)
    assert contrastive(*near, torch.tensor([False]), margin_l2=1.0).item() == pytest.approx(0.405)


def test_the_hinge_is_on_the_distance_not_on_its_square() -> None:
    """max(0, m - d^2) would give (1 - 0.25) / 2 here."""
    first, second = torch.tensor([[0.0]]), torch.tensor([[0.5]])
    assert contrastive(first, second, torch.tensor([False]), margin_l2=1.0).item() == pytest.approx(0.125)


def test_different_people_beyond_the_margin_are_left_alone() -> None:
    first, second = torch.zeros(1, 2, requires_grad=True), torch.tensor([[3.0, 0.0]])
    loss = ContrastiveLoss()(first, second, torch.tensor([False]))
    loss.backward()
    assert loss.item() == 0
    assert first.grad is not None
    assert first.grad.tolist() == [[0, 0]]


def test_a_pair_of_different_people_at_one_place_has_the_full_loss_and_no_direction() -> None:
    first = torch.ones(1, 2, requires_grad=True)
    loss = ContrastiveLoss()(first, torch.ones(1, 2), torch.tensor([False]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert first.grad is not None
    assert first.grad.tolist() == [[0, 0]]


def test_a_siamese_network_learns_by_it() -> None:
    network = Siamese(torch.nn.Flatten(), pair_loss=ContrastiveLoss())
    images = torch.randn(2, 3, 2, 2)
    assert network.loss(images, images, is_same=torch.tensor([True, True])).item() == 0


@pytest.mark.parametrize("labels", [torch.tensor([1, 0]), torch.tensor([1.0, 0.0])], ids=["int", "float"])
def test_a_number_is_no_answer_to_same_or_not(labels: Tensor) -> None:
    with pytest.raises(ShapeError, match="is_same must be bool"):
        ContrastiveLoss()(torch.ones(2, 3), torch.ones(2, 3), labels)


def test_unequal_batches_are_refused() -> None:
    with pytest.raises(ShapeError, match="second"):
        ContrastiveLoss()(torch.ones(2, 3), torch.ones(3, 3), torch.tensor([True, True]))


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="margin_l2"):
        ContrastiveLoss(margin_l2=0.0)
