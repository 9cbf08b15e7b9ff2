"""Triplet loss: squared distances of unit vectors, and empty sets."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses as oracle
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from vultus.errors import InputError
from vultus.training.losses.triplet import TripletLoss, triplet
from vultus.training.mining import (
    Miner,
    Triplets,
    hardest_triplets,
    random_triplets,
    semi_hard_triplets,
    violating_triplets,
)

MINERS = [random_triplets, hardest_triplets, semi_hard_triplets, violating_triplets]


def batch() -> tuple[Tensor, Tensor]:
    embeddings = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return embeddings, torch.arange(12) // 3


ALL = Triplets(
    *torch.tensor(
        [
            (a, p, n)
            for a in range(12)
            for p in range(12)
            for n in range(12)
            if a // 3 == p // 3 != n // 3 and a != p
        ]
    ).unbind(1)
)


def test_it_is_the_formula() -> None:
    embeddings, _ = batch()
    unit = [[value / math.hypot(*row) for value in row] for row in embeddings.tolist()]
    by_hand = [
        max(0.0, math.dist(unit[a], unit[p]) ** 2 - math.dist(unit[a], unit[n]) ** 2 + 0.2)
        for a, p, n in zip(*(rows.tolist() for rows in ALL), strict=True)
    ]
    assert len(by_hand) == 12 * 2 * 9
    assert triplet(embeddings, ALL, margin_squared_l2=0.2).tolist() == pytest.approx(by_hand, abs=1e-12)


def test_pytorch_metric_learning_agrees_on_squared_distances_and_not_on_plain_ones() -> None:
    embeddings, labels = batch()
    ours = triplet(embeddings, ALL, margin_squared_l2=0.2).mean()
    squared, plain = (
        oracle.TripletMarginLoss(margin=0.2, distance=LpDistance(power=power), reducer=MeanReducer())(
            embeddings, labels
        )
        for power in (2, 1)
    )
    assert ours.item() == pytest.approx(squared.item(), abs=1e-6)
    assert ours.item() != pytest.approx(plain.item(), abs=1e-2)


def test_the_lengths_of_the_embeddings_do_not_matter() -> None:
    embeddings, _ = batch()
    longer = embeddings * torch.arange(1, 13)[:, None]
    assert torch.allclose(
        triplet(embeddings, ALL, margin_squared_l2=0.2), triplet(longer, ALL, margin_squared_l2=0.2)
    )


@pytest.mark.parametrize("miner", MINERS)
def test_the_module_is_the_mean_over_what_the_miner_chose(miner: Miner) -> None:
    embeddings, labels = batch()
    torch.manual_seed(3)
    chosen = miner(embeddings, labels, margin_squared_l2=0.4)
    assert len(chosen.anchors) > 0
    torch.manual_seed(3)
    loss = TripletLoss(margin_squared_l2=0.4, miner=miner)(embeddings, labels)
    assert loss.item() == pytest.approx(triplet(embeddings, chosen, margin_squared_l2=0.4).mean().item())


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize(
    "labels", [[0, 0, 0, 0], [0, 1, 2, 3], [5]], ids=["all one person", "all different", "one picture"]
)
def test_no_triplet_is_a_loss_of_zero_that_can_be_trained_on(miner: Miner, labels: list[int]) -> None:
    network = torch.nn.Linear(3, 2)
    images = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0))
    loss = TripletLoss(miner=miner)(network(images), torch.tensor(labels))
    assert loss.item() == 0
    loss.backward()
    assert network.weight.grad is not None
    assert network.weight.grad.abs().sum() == 0


def test_a_batch_that_is_learnt_has_no_semi_hard_triplets_left() -> None:
    embeddings = F.one_hot(torch.arange(6) // 2).double().requires_grad_()
    loss = TripletLoss()(embeddings, torch.arange(6) // 2)
    loss.backward()
    assert loss.item() == 0


def test_learning_by_it_brings_people_together_and_apart() -> None:
    torch.manual_seed(0)
    labels = torch.arange(12) // 3
    embeddings = torch.randn(12, 4, requires_grad=True)
    loss = TripletLoss(miner=violating_triplets)
    optimiser = torch.optim.SGD([embeddings], lr=2.0)
    for _ in range(300):
        optimiser.zero_grad()
        loss(embeddings, labels).backward()
        optimiser.step()
    cosines = F.normalize(embeddings) @ F.normalize(embeddings).T
    is_same = labels[:, None] == labels
    assert cosines[is_same].min() > cosines[~is_same].max()


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="margin_squared_l2"):
        TripletLoss(margin_squared_l2=-0.2)
