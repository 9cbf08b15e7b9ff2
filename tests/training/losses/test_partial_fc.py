"""Partial FC: equal to the unsharded loss on two processes, and what sampling keeps."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
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
    NormFaceLoss,
    PartialFC,
    SoftmaxLoss,
)
from vultus.training.losses.partial_fc import sample_classes, shard, sharded_cross_entropy

D, C, N, RANKS = 6, 7, 12, 2  # 7 classes: 3 on one rank, 4 on the other
RANK = Path(__file__).with_name("sharded_rank.py")

MARGINS: dict[str, Callable[[int], nn.Module]] = {
    "a-softmax": partial(ASoftmaxLoss, D),
    "adaface": partial(AdaFaceLoss, D),
    "arcface": partial(ArcFaceLoss, D),
    "arcface-easy": partial(ArcFaceLoss, D, form="easy"),
    "arcface-straight-through": partial(ArcFaceLoss, D, form="straight_through"),
    "arcface-sub-centres": partial(ArcFaceLoss, D, centre_count=3),
    "circle": partial(CircleLoss, D),
    "combined": partial(CombinedMarginLoss, D),
    "cosface": partial(CosFaceLoss, D),
    "curricularface": partial(CurricularFaceLoss, D, momentum=0.5),
    "l-softmax": partial(LSoftmaxLoss, D),
    "magface": partial(MagFaceLoss, D),
    "normface": partial(NormFaceLoss, D),
}
every_margin = pytest.mark.parametrize("name", MARGINS)


def case(name: str, **options: Any) -> dict[str, Any]:
    """Labels of both shards, mixed; class 2 and 6 do not appear."""
    generator = torch.Generator().manual_seed(11)
    weight = MARGINS[name](C).get_parameter("weight")
    return {
        "build": MARGINS[name],
        "class_count": C,
        "options": options,
        "embeddings": 10 * torch.randn(N, D, dtype=torch.float64, generator=generator),
        "labels": torch.tensor([0, 5, 1, 4, 3, 3, 5, 0, 4, 1, 1, 0]),
        "weight": torch.randn(weight.shape, dtype=torch.float64, generator=generator),
    }


CASES = {
    **{name: case(name) for name in MARGINS},
    "averaged": case("arcface", is_averaged_after=True),
    "sampled": case("arcface", sampling_rate=0.5, seed=3),
    "sampled-again": case("arcface", sampling_rate=0.5, seed=3),
    "barely-sampled": case("cosface", sampling_rate=0.01),
}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes answered."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(CASES, folder / "cases.pt")
    running = [
        subprocess.Popen(
            [sys.executable, RANK, folder, str(rank), str(RANKS)], stderr=subprocess.PIPE, text=True
        )
        for rank in range(RANKS)
    ]
    try:
        told = [process.communicate(timeout=120)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * RANKS, "\n".join(told)
    return [torch.load(folder / f"rank-{rank}.pt", weights_only=False) for rank in range(RANKS)]


def whole(name: str) -> tuple[nn.Module, list[float], Tensor]:
    """The unsharded loss on the whole batch: after two steps, its values, the embeddings' gradient."""
    given = CASES[name]
    loss = given["build"](C).double()
    with torch.no_grad():
        loss.weight.copy_(given["weight"])
    embeddings = given["embeddings"].clone().requires_grad_()
    values = [loss(embeddings, given["labels"]) for _ in range(2)]
    values[0].backward()
    return loss, [value.item() for value in values], embeddings.grad


@every_margin
def test_two_ranks_have_the_loss_of_one(name: str, ranks: list[dict[str, Any]]) -> None:
    _, values, _ = whole(name)
    for answers in ranks:
        assert answers[name]["values"] == pytest.approx(values, abs=1e-5, rel=0)


@every_margin
def test_two_ranks_have_the_gradients_of_one(name: str, ranks: list[dict[str, Any]]) -> None:
    loss, _, slope = whole(name)
    embeddings = torch.cat([answers[name]["embeddings"] for answers in ranks])
    weight = torch.cat([answers[name]["weight"] for answers in ranks])
    assert slope.abs().max() > 1e-4
    torch.testing.assert_close(embeddings, slope, atol=1e-5, rtol=0)
    torch.testing.assert_close(weight, loss.get_parameter("weight").grad, atol=1e-5, rtol=0)


@every_margin
def test_two_ranks_keep_the_running_values_of_one(name: str, ranks: list[dict[str, Any]]) -> None:
    loss, _, _ = whole(name)
    for answers in ranks:
        for key, value in answers[name]["state"].items():
            torch.testing.assert_close(value, loss.state_dict()[key])


def test_for_a_network_whose_gradients_are_averaged_they_are_multiplied(ranks: list[dict[str, Any]]) -> None:
    """Embeddings only: a rank's class weights are its own, and nobody averages them."""
    for answers in ranks:
        plain, averaged = answers["arcface"], answers["averaged"]
        torch.testing.assert_close(averaged["embeddings"], RANKS * plain["embeddings"])
        torch.testing.assert_close(averaged["weight"], plain["weight"])
        assert averaged["values"] == plain["values"]


def test_the_classes_are_split_without_gap_or_overlap(ranks: list[dict[str, Any]]) -> None:
    assert [answers["cosface"]["class_range"] for answers in ranks] == [(0, 3), (3, 7)]
    for rank_count in (1, 2, 3, 7):
        parts = [shard(7, part, part_count=rank_count) for part in range(rank_count)]
        assert [start for start, _ in parts] == [0, *(end for _, end in parts[:-1])]
        assert parts[-1][1] == 7
        assert {end - start for start, end in parts} <= {7 // rank_count, -(-7 // rank_count)}


def test_the_shards_start_from_different_weights(ranks: list[dict[str, Any]]) -> None:
    """Though both ranks seeded torch alike: else class j of each shard would be one class."""
    first, second = (answers["fresh"] for answers in ranks)
    assert not torch.isclose(first[:3], second[:3]).any()
    assert 0.005 < torch.cat([first, second]).std() < 0.02


def test_every_rank_refuses_what_one_rank_does_wrong(ranks: list[dict[str, Any]]) -> None:
    for answers in ranks:
        assert "got 0..99" in answers["refusals"]["label"]
        assert "2 to 3 over all" in answers["refusals"]["rows"]


@pytest.mark.parametrize("name", ["sampled", "barely-sampled"])
def test_a_sampled_step_keeps_the_positives_and_drops_others(name: str, ranks: list[dict[str, Any]]) -> None:
    weight = torch.cat([answers[name]["weight"] for answers in ranks])
    moved = (weight.abs().sum(1) > 0).nonzero().squeeze(1).tolist()
    assert set(moved) == {0, 1, 3, 4, 5}  # at half of 3 and of 4 classes, all places go to the positives
    first, second = (answers[name]["values"] for answers in ranks)
    assert first == second
    assert torch.isfinite(torch.tensor(first)).all()


def test_the_lots_are_seeded(ranks: list[dict[str, Any]]) -> None:
    for answers in ranks:
        assert answers["sampled"]["values"] == answers["sampled-again"]["values"]
        torch.testing.assert_close(answers["sampled"]["weight"], answers["sampled-again"]["weight"])


@every_margin
def test_alone_it_is_the_loss_itself(name: str) -> None:
    given = CASES[name]
    loss = PartialFC(given["build"], C).double()
    with torch.no_grad():
        loss.loss.weight.copy_(given["weight"])
    _, values, _ = whole(name)
    assert loss(given["embeddings"], given["labels"]).item() == pytest.approx(values[0], abs=1e-9)


def test_a_sampled_loss_is_that_over_the_sampled_classes() -> None:
    given = CASES["cosface"]
    loss = PartialFC(partial(CosFaceLoss, D), C, sampling_rate=0.75, seed=1).double()
    value = loss(given["embeddings"], given["labels"])
    value.backward()
    grad = loss.loss.weight.grad
    assert grad is not None
    kept = (grad.abs().sum(1) > 0).nonzero().squeeze(1)
    assert len(kept) == 5
    small = CosFaceLoss(D, len(kept)).double()
    with torch.no_grad():
        small.weight.copy_(loss.loss.weight[kept])
    relabelled = torch.searchsorted(kept, given["labels"])
    torch.testing.assert_close(value, small(given["embeddings"], relabelled))


def test_judging_compares_with_all_classes() -> None:
    given = CASES["cosface"]
    loss = PartialFC(partial(CosFaceLoss, D), C, sampling_rate=0.1).double().eval()
    small = CosFaceLoss(D, C).double()
    small.load_state_dict(loss.loss.state_dict())
    torch.testing.assert_close(
        loss(given["embeddings"], given["labels"]), small(given["embeddings"], given["labels"])
    )


@pytest.mark.parametrize("sampling_rate", [0.001, 0.1, 0.5, 1.0])
def test_the_sample_holds_all_positives_and_fills_up_by_lot(sampling_rate: float) -> None:
    labels = torch.tensor([5, -1, 90, 5, -1, 17])
    generator = torch.Generator().manual_seed(0)
    samples = [
        sample_classes(labels, 100, sampling_rate=sampling_rate, generator=generator).tolist()
        for _ in range(20)
    ]
    assert all({5, 17, 90} <= set(sample) for sample in samples)
    assert all(len(sample) == max(3, round(100 * sampling_rate)) for sample in samples)
    assert all(sample == sorted(set(sample)) for sample in samples)
    if 0.05 < sampling_rate < 1:
        assert len({tuple(sample) for sample in samples}) == 20
        assert len({c for sample in samples for c in sample}) > 60


def test_a_shard_without_a_positive_still_has_negatives() -> None:
    generator = torch.Generator().manual_seed(0)
    sample = sample_classes(torch.tensor([-1, -1]), 10, sampling_rate=0.01, generator=generator)
    assert len(sample) == 1


def test_a_hopeless_logit_does_not_underflow() -> None:
    """At scale 64 the own class can lie 128 below: its p is 1e-56, and log(p) in float32 minus infinity."""
    logits = torch.tensor([[-64.0, 64.0, 0.0]], requires_grad=True)
    value = sharded_cross_entropy(logits, torch.tensor([0]))
    assert value.item() == 128
    value.backward()  # type: ignore[no-untyped-call]  # torch gives it no type
    torch.testing.assert_close(logits.grad, torch.tensor([[-1.0, 1.0, 0.0]]))


def test_put_together_on_one_rank_it_is_the_cross_entropy() -> None:
    logits = (20 * torch.randn(6, 5, dtype=torch.float64)).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    torch.testing.assert_close(sharded_cross_entropy(logits, labels), F.cross_entropy(logits, labels))
    assert torch.autograd.gradcheck(lambda given: sharded_cross_entropy(given, labels), (logits,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_under_autocast_it_is_finite_and_in_float32(dtype: torch.dtype) -> None:
    loss = PartialFC(partial(ArcFaceLoss, D), C, sampling_rate=0.5)
    embeddings = CASES["arcface"]["embeddings"].to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        value = loss(embeddings, CASES["arcface"]["labels"])
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize(
    ("build", "class_count", "rate", "message"),
    [
        (partial(CosFaceLoss, D), C, 0.0, "sampling_rate"),
        (partial(CosFaceLoss, D), C, 1.5, "sampling_rate"),
        (partial(CosFaceLoss, D), 0, 1.0, "0 classes cannot be spread over 1 ranks"),
        (partial(SoftmaxLoss, D), C, 1.0, "a loss over cosines, got SoftmaxLoss"),
    ],
)
def test_what_cannot_be_is_refused(
    build: Callable[[int], nn.Module], class_count: int, rate: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        PartialFC(build, class_count, sampling_rate=rate)


def test_a_bad_batch_is_refused() -> None:
    loss = PartialFC(partial(CosFaceLoss, D), C)
    with pytest.raises(InputError, match=r"0\.\.6 for 7 classes, got 0\.\.7"):
        loss(torch.ones(2, D), torch.tensor([0, 7]))
    with pytest.raises(ShapeError, match="int64"):
        loss(torch.ones(2, D), torch.tensor([0.0, 1.0]))
