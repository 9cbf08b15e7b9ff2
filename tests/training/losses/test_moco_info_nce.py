"""MoCo's InfoNCE: the formula, the queue as a ring, and the encoder that follows."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.training.losses.moco_info_nce import MoCoInfoNCELoss, follow, info_nce


def batch(count: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    return queries, keys, F.normalize(torch.randn(7, 3, generator=generator, dtype=torch.float64))


def dot(u: list[float], v: list[float]) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))


def test_it_is_the_formula() -> None:
    queries, keys, queue = batch()
    losses = []
    for q, k in zip(queries.tolist(), keys.tolist(), strict=True):
        own = math.exp(dot(q, k) / 0.2)
        losses.append(-math.log(own / (own + sum(math.exp(dot(q, other) / 0.2) for other in queue.tolist()))))
    assert info_nce(queries, keys, queue, temperature=0.2).item() == pytest.approx(sum(losses) / 4, abs=1e-9)


def test_no_gradient_reaches_the_keys() -> None:
    queries, keys, queue = batch()
    loss = info_nce(queries.requires_grad_(), keys.requires_grad_(), queue, temperature=0.2)
    torch.autograd.backward(loss)
    assert keys.grad is None
    assert queries.grad is not None
    assert queries.grad.abs().sum() > 0


def test_the_queue_starts_with_directions_and_is_saved() -> None:
    loss = MoCoInfoNCELoss(3, queue_size=7)
    assert loss.queue.norm(dim=1).tolist() == pytest.approx([1] * 7)
    assert set(loss.state_dict()) == {"queue", "position"}
    assert list(loss.parameters()) == []


def test_a_batch_meets_the_queue_without_itself_and_then_joins_it() -> None:
    queries, keys, queue = batch()
    loss = MoCoInfoNCELoss(3, queue_size=7, temperature=0.2).double()
    loss.queue = queue.clone()
    assert torch.equal(loss(queries, keys), info_nce(queries, keys, queue, temperature=0.2))
    assert torch.allclose(loss.queue[:4], F.normalize(keys))
    assert torch.equal(loss.queue[4:], queue[4:])


def test_the_queue_is_a_ring_that_drops_the_oldest() -> None:
    loss = MoCoInfoNCELoss(3, queue_size=7).double()
    batches = [batch()[1] + shift for shift in (0, 1, 2)]
    for keys in batches:
        loss(keys, keys)
    assert int(loss.position) == 12 % 7
    expected = F.normalize(torch.cat(batches))[-7:]
    assert torch.allclose(loss.queue[[5, 6, 0, 1, 2, 3, 4]], expected)


def test_the_queue_can_change_before_the_backward_pass() -> None:
    queries, keys, _ = batch()
    queries.requires_grad_()
    loss = MoCoInfoNCELoss(3, queue_size=7).double()
    (loss(queries, keys) + loss(queries, keys)).backward()
    assert queries.grad is not None
    assert queries.grad.isfinite().all()


def test_evaluation_leaves_the_queue() -> None:
    queries, keys, _ = batch()
    loss = MoCoInfoNCELoss(3, queue_size=7).double().eval()
    before = loss.queue.clone()
    loss(queries, keys)
    assert torch.equal(loss.queue, before)
    assert int(loss.position) == 0


def test_the_key_encoder_follows_slowly() -> None:
    leading = nn.Linear(2, 2)
    following = copy.deepcopy(leading)
    with torch.no_grad():
        leading.weight += 1.0
    start = following.weight.clone()
    follow(following, leading, momentum=0.9)
    assert torch.allclose(following.weight, start + 0.1)
    assert torch.equal(following.bias, leading.bias)
    assert leading.weight.grad is None


def test_encoders_of_two_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="deepcopy"):
        follow(nn.Linear(2, 2), nn.Linear(2, 3))


def test_a_momentum_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="momentum"):
        follow(nn.Linear(2, 2), nn.Linear(2, 2), momentum=1.1)


def test_a_batch_larger_than_the_queue_is_refused() -> None:
    with pytest.raises(ShapeError, match="N up to 3"):
        MoCoInfoNCELoss(3, queue_size=3)(torch.ones(4, 3), torch.ones(4, 3))


@pytest.mark.parametrize("knobs", [{"queue_size": 0}, {"temperature": 0.0}], ids=str)
def test_knobs_out_of_range_are_refused(knobs: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        MoCoInfoNCELoss(3, **knobs)
