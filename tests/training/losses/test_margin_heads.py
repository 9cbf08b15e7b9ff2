"""What holds for every classification loss: one parametrised test over all of them.

The formula of each is tested in a file of its own.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.training.losses import (
    AdaFaceLoss,
    ArcFaceLoss,
    ASoftmaxLoss,
    CircleLoss,
    CombinedMarginLoss,
    CosFaceLoss,
    CurricularFaceLoss,
    LSoftmaxLoss,
    MagFaceLoss,
    MarginLoss,
    NormFaceLoss,
    SoftmaxLoss,
)
from vultus.training.losses.cosines import Cosines

D, C = 6, 5
LENGTH = 30.0  # of the embeddings: within MagFace's range

MARGINS: dict[str, Callable[[int, int], nn.Module]] = {
    "a-softmax": ASoftmaxLoss,
    "a-softmax-unannealed": partial(ASoftmaxLoss, annealing=None),
    "adaface": AdaFaceLoss,
    "arcface": ArcFaceLoss,
    "arcface-easy": partial(ArcFaceLoss, form="easy"),
    "arcface-straight-through": partial(ArcFaceLoss, form="straight_through"),
    "arcface-sub-centres": partial(ArcFaceLoss, centre_count=3),
    "circle": CircleLoss,
    "combined": CombinedMarginLoss,
    "combined-cm2": partial(CombinedMarginLoss, factor=0.9, margin_rad=0.4, margin_cos=0.15),
    "cosface": CosFaceLoss,
    "curricularface": CurricularFaceLoss,
    "l-softmax": LSoftmaxLoss,
    "magface": MagFaceLoss,
    "normface": NormFaceLoss,
}
LOSSES: dict[str, Callable[[int, int], nn.Module]] = {
    **MARGINS,
    "softmax": partial(SoftmaxLoss, label_smoothing=0.1),
}
# Their gradient is by intent not the derivative (constant weights, 1): tested in their own files.
NOT_ITS_OWN_DERIVATIVE = {"circle", "adaface", "arcface-straight-through"}
# The papers' figures for what falls over all of [0, pi]: the easy margin jumps up at a right angle.
FALLING = sorted(MARGINS.keys() - {"arcface-easy"})

every_loss = pytest.mark.parametrize("name", LOSSES)
every_margin = pytest.mark.parametrize("name", MARGINS)


def build(name: str) -> nn.Module:
    """In float32, as in training."""
    return LOSSES[name](D, C)


def margin(name: str) -> MarginLoss:
    loss = build(name).double().eval()
    assert isinstance(loss, MarginLoss)
    return loss


def at(cosine: Tensor) -> Cosines:
    """(N,) cosines with the own class 0; the other four are at right angles; faces and classes are long."""
    values = torch.cat([cosine[:, None], torch.zeros(len(cosine), C - 1).to(cosine)], dim=1)
    return Cosines(
        values=values,
        labels=torch.zeros(len(cosine), dtype=torch.int64),
        target=values[:, 0],
        lengths=torch.full_like(cosine, LENGTH),
        class_lengths=torch.ones(C).to(cosine),
    )


def align(loss: nn.Module, cosine: float) -> Tensor:
    """(1, D) an embedding at that cosine to class 0 (and to each of its sub-centres)."""
    embedding = torch.zeros(1, D)
    embedding[0, 0], embedding[0, 1] = cosine, math.sqrt(1 - cosine**2)
    weight = loss.get_parameter("weight")
    with torch.no_grad():
        weight[0] = torch.eye(D)[0]
    return (LENGTH * embedding).requires_grad_()


@every_loss
def test_the_gradient_reaches_embeddings_and_every_weight_of_the_batch(
    name: str, draw: Callable[..., Any]
) -> None:
    embeddings, labels = draw(length=LENGTH)
    loss = build(name)
    given = embeddings.float().requires_grad_()
    loss(given, labels).backward()
    assert given.grad is not None
    assert (given.grad.abs().sum(1) > 0).all()
    grad = loss.get_parameter("weight").grad
    assert grad is not None
    assert torch.isfinite(grad).all()
    assert (grad.flatten(1).abs().sum(1) > 0).all()  # the class without a face too: it is a negative


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - NOT_ITS_OWN_DERIVATIVE))
def test_the_gradient_is_the_derivative(name: str, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(4, length=LENGTH)
    loss = build(name).double().eval()
    weight = loss.get_parameter("weight")
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, dtype=torch.float64))

    def value(given: Tensor, weights: Tensor) -> Tensor:
        answer: Tensor = torch.func.functional_call(loss, {"weight": weights}, (given, labels))
        return answer

    inputs = (embeddings.requires_grad_(), weight.detach().requires_grad_())
    assert torch.autograd.gradcheck(value, inputs, eps=1e-6, atol=1e-4)


@every_loss
@pytest.mark.parametrize("cosine", [1.0, -1.0, 0.0])
def test_value_and_gradient_are_finite_at_the_ends(name: str, cosine: float) -> None:
    loss = build(name)
    embedding = align(loss, cosine)
    value = loss(embedding, torch.zeros(1, dtype=torch.int64))
    value.backward()
    assert torch.isfinite(value)
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()
    grad = loss.get_parameter("weight").grad
    assert grad is not None
    assert torch.isfinite(grad).all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_ends_at_the_embedding(name: str, dtype: torch.dtype, draw: Callable[..., Any]) -> None:
    """The loss of half-precision embeddings is that of the same numbers in float32."""
    embeddings, labels = draw(length=LENGTH)
    loss = build(name).eval()
    network = nn.Linear(D, D, bias=False)
    with torch.autocast("cpu", dtype=dtype):
        halves = network(embeddings.float())
        value = loss(halves, labels)
    assert halves.dtype == dtype
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(halves.float(), labels), rtol=0, atol=0)
    value.backward()
    assert network.weight.grad is not None
    assert torch.isfinite(network.weight.grad).all()


@every_margin
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("cosine", [1.0, -1.0, 0.0])
def test_the_ends_are_finite_under_autocast(name: str, dtype: torch.dtype, cosine: float) -> None:
    loss = build(name)
    embedding = align(loss, cosine).detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        value = loss(embedding, torch.zeros(1, dtype=torch.int64))
    value.backward()
    assert torch.isfinite(value)
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()


@pytest.mark.parametrize("name", FALLING)
def test_the_own_logit_falls_with_the_angle(name: str) -> None:
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    own = margin(name).logits(at(theta.cos()))[:, 0]
    assert (own.diff() <= 1e-9).all()
    assert own[0] - own[-1] > 1


@every_margin
def test_the_margin_makes_no_logit_larger_and_leaves_the_others(name: str) -> None:
    """Against the same loss without its margin: only the own class may lose. Other scales: own files."""
    theta = torch.linspace(0.05, 3.1, 100, dtype=torch.float64)
    loss = margin(name)
    cosines = at(theta.cos())
    logits = loss.logits(cosines)
    own, others = logits[:, 0], logits[:, 1:]
    if name == "circle":
        assert torch.allclose(others, torch.full_like(others, -256 * 0.25**2))
    else:
        assert (others == 0).all()  # scale * cos(90 degrees)
        unmargined = getattr(loss, "scale", LENGTH) * cosines.target
        assert (own <= unmargined + 1e-9).all()


@every_loss
def test_a_batch_of_one_has_a_loss(name: str, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(1, length=LENGTH)
    given = embeddings.float().requires_grad_()
    value = build(name)(given, labels)
    value.backward()
    assert value.shape == ()
    assert torch.isfinite(value)
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()


@every_loss
def test_a_batch_of_one_person_has_a_loss(name: str, draw: Callable[..., Any]) -> None:
    embeddings, _ = draw(length=LENGTH)
    value = build(name)(embeddings.float(), torch.full((12,), 2))
    assert torch.isfinite(value)


@every_loss
def test_the_loss_is_the_mean_over_the_batch(name: str, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(length=LENGTH)
    loss = build(name).double().eval()
    single = [loss(row[None], label[None]) for row, label in zip(embeddings, labels, strict=True)]
    torch.testing.assert_close(loss(embeddings, labels), torch.stack(single).mean())


@every_loss
@pytest.mark.parametrize("label", [-1, C])
def test_a_label_that_names_no_class_is_refused(name: str, label: int) -> None:
    with pytest.raises(InputError, match=rf"0\.\.{C - 1} for {C} classes, got .*{label}"):
        build(name)(torch.randn(2, D), torch.tensor([0, label]))


@pytest.mark.parametrize("name", ["arcface", "softmax"])
@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (
            torch.ones(2, D),
            torch.tensor([0.0, 1.0]),
            r"int64 class indices of .*, got torch.float32",
        ),
        (torch.ones(2, D), torch.tensor([0, 1], dtype=torch.int32), r"got torch.int32"),
        (
            torch.ones(2, D),
            torch.eye(2, C, dtype=torch.int64),
            r"got torch.int64 of shape \(2, 5\)",
        ),
        (torch.ones(2, D), torch.tensor([0]), r"shape \(2,\)"),
        (torch.ones(2, D + 1), torch.tensor([0, 1]), r"shape \(N, 6\), got torch.float32 of shape \(2, 7\)"),
        (torch.ones(D), torch.tensor([0]), r"of shape \(6,\)"),
        (torch.ones(2, D, dtype=torch.int64), torch.tensor([0, 1]), "must be floats"),
        (torch.ones(0, D), torch.zeros(0, dtype=torch.int64), "the batch is empty"),
    ],
)
def test_a_batch_of_another_shape_is_refused(
    name: str, embeddings: Tensor, labels: Tensor, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        build(name)(embeddings, labels)


@every_loss
def test_a_saved_loss_goes_on_where_it_was(name: str, draw: Callable[..., Any]) -> None:
    """Steps and running values are part of the state."""
    embeddings, labels = draw(length=LENGTH)
    first, second = build(name), build(name)
    for _ in range(5):
        first(embeddings.float(), labels)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(embeddings.float(), labels), first(embeddings.float(), labels))


@every_loss
def test_judging_does_not_move_the_running_values(name: str, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(length=LENGTH)
    loss = build(name).eval()
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss(embeddings.float(), labels)
    assert all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())


@every_loss
def test_two_batches_can_wait_for_their_backward(name: str, draw: Callable[..., Any]) -> None:
    """Gradient accumulation: what the second forward updates must not be what the first one saved."""
    embeddings, labels = draw(length=LENGTH)
    loss = build(name)
    values = [loss(embeddings.float(), labels), loss(-embeddings.float(), labels)]
    value = torch.stack(values).sum()
    torch.autograd.backward(value)
    grad = loss.get_parameter("weight").grad
    assert grad is not None
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"softmax", "l-softmax"}))
def test_the_length_of_the_class_weights_does_not_matter(name: str, draw: Callable[..., Any]) -> None:
    embeddings, labels = draw(length=LENGTH)
    loss = build(name).double().eval()
    before = loss(embeddings, labels)
    with torch.no_grad():
        loss.get_parameter("weight").mul_(7)
    torch.testing.assert_close(loss(embeddings, labels), before)
