"""Center loss: gathered differences, the paper's moving centres, and why it is never alone."""

import pytest
import torch
import torch.nn.functional as F

from vultus.errors import InputError, ShapeError
from vultus.training.losses.center import CenterLoss, SoftmaxCenterLoss, center_loss


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    centres = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return embeddings, torch.tensor([0, 2, 2, 1, 2, 0, 0]), centres


def test_it_is_half_the_sum_of_the_squared_distances() -> None:
    embeddings, labels, centres = batch()
    by_hand = 0.0
    for x, label in zip(embeddings.tolist(), labels.tolist(), strict=True):
        by_hand += sum((a - b) ** 2 for a, b in zip(x, centres[label].tolist(), strict=True)) / 2
    assert center_loss(embeddings, labels, centres).item() == pytest.approx(by_hand, rel=1e-12)


def test_a_small_distance_far_from_the_origin_does_not_cancel() -> None:
    """The expanded |x|^2 + |c|^2 - 2 x.c gives 0.0 here, in float32."""
    loss = CenterLoss(2, 1).eval()
    loss.centres = torch.tensor([[100.0, 100.0]])
    x = torch.tensor([[100.03125, 100.0]])
    expected = 0.03125**2 / 2
    assert expected == pytest.approx(5e-4, rel=0.03)
    assert loss(x, torch.tensor([0])).item() == pytest.approx(expected, rel=1e-6)
    expanded = x.square().sum() + loss.centres.square().sum() - 2 * (x * loss.centres).sum()
    assert expanded.item() / 2 != pytest.approx(expected, rel=0.5), "the trap is there"


def test_the_centres_move_by_the_mean_that_divides_by_one_plus_the_count() -> None:
    embeddings, labels, centres = batch()
    loss = CenterLoss(3, 4, centre_rate=0.5).double()
    loss.centres = centres.clone()
    loss(embeddings, labels)
    for j in range(4):
        mine = [embeddings[i] for i in range(7) if labels[i] == j]
        delta = sum((centres[j] - x for x in mine), torch.zeros(3, dtype=torch.float64)) / (1 + len(mine))
        assert torch.allclose(loss.centres[j], centres[j] - 0.5 * delta, atol=1e-12)
    assert torch.equal(loss.centres[3], centres[3]), "nobody of class 3 was there"


def test_the_loss_is_that_of_the_centres_before_they_move() -> None:
    embeddings, labels, centres = batch()
    loss = CenterLoss(3, 4).double()
    loss.centres = centres.clone()
    assert torch.equal(loss(embeddings, labels), center_loss(embeddings, labels, centres))


def test_the_centres_stay_in_evaluation_and_are_saved() -> None:
    embeddings, labels, centres = batch()
    loss = CenterLoss(3, 4).double().eval()
    loss.centres = centres.clone()
    loss(embeddings, labels)
    assert torch.equal(loss.state_dict()["centres"], centres)
    assert list(loss.parameters()) == []


def test_the_joint_loss_keeps_the_ratio_of_the_papers_sums() -> None:
    embeddings, labels, centres = batch()
    loss = SoftmaxCenterLoss(3, 4, centre_weight=0.25).double()
    loss.center.centres = centres.clone()
    logits = embeddings @ loss.softmax.weight.T + loss.softmax.bias
    sums = F.cross_entropy(logits, labels, reduction="sum") + 0.25 * center_loss(embeddings, labels, centres)
    assert loss(embeddings, labels).item() == pytest.approx(sums.item() / 7, rel=1e-12)


@pytest.mark.parametrize(("is_joint", "is_collapsed"), [(False, True), (True, False)])
def test_alone_it_collapses_and_with_softmax_it_does_not(*, is_joint: bool, is_collapsed: bool) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(60, 5), torch.arange(60) % 3
    images[:, :3] += 2 * F.one_hot(labels, 3)
    network = torch.nn.Linear(5, 2)
    joint, alone = SoftmaxCenterLoss(2, 3, centre_weight=0.1), CenterLoss(2, 3)
    optimiser = torch.optim.SGD([*network.parameters(), *joint.parameters()], lr=0.2)
    for _ in range(300):
        optimiser.zero_grad()
        embeddings = network(images)
        loss = joint(embeddings, labels) if is_joint else alone(embeddings, labels) / 60
        loss.backward()
        optimiser.step()
    assert (network(images).std(0).max() < 0.05) == is_collapsed


def test_one_class_in_the_batch_moves_one_centre() -> None:
    loss = CenterLoss(2, 3)
    loss(torch.ones(4, 2), torch.ones(4, dtype=torch.int64))
    assert loss.centres.tolist() == [[0, 0], [pytest.approx(0.4), pytest.approx(0.4)], [0, 0]]


@pytest.mark.parametrize("labels", [torch.tensor([0, 4]), torch.tensor([-1, 0])], ids=["high", "low"])
def test_a_label_that_names_no_class_is_refused(labels: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"0\.\.3"):
        CenterLoss(3, 4)(torch.ones(2, 3), labels)


def test_embeddings_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(N, 3\)"):
        SoftmaxCenterLoss(3, 4)(torch.ones(2, 5), torch.tensor([0, 1]))


@pytest.mark.parametrize("knobs", [{"centre_rate": 1.5}, {"centre_weight": -1.0}], ids=str)
def test_knobs_out_of_range_are_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(InputError, match="centre_"):
        SoftmaxCenterLoss(3, 4, **knobs)
