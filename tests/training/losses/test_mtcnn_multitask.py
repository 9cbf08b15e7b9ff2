"""MTCNN's multi-task loss: who learns from which crop, and only the hardest 70 %."""

import math

import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.networks.mtcnn import ONet, PNet, RNet
from vultus.training.losses.mtcnn_multitask import (
    TASK_WEIGHTS,
    CropKind,
    CropTargets,
    MTCNNMultitaskLoss,
    TaskWeights,
    hard_cross_entropy,
)

NEGATIVE, POSITIVE, PART, LANDMARK = CropKind
MIXED = [NEGATIVE, POSITIVE, PART, LANDMARK, NEGATIVE, NEGATIVE, POSITIVE, PART, NEGATIVE, NEGATIVE]


def batch(kinds: list[CropKind]) -> tuple[tuple[Tensor, Tensor, Tensor], CropTargets]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(kinds), 30, generator=generator, dtype=torch.float64)
    logits, offsets, landmarks, box_targets, landmark_targets = torch.split(values, [2, 4, 10, 4, 10], dim=1)
    return (logits, offsets, landmarks), CropTargets(torch.tensor(kinds), box_targets, landmark_targets)


def by_loop(answers: tuple[Tensor, Tensor, Tensor], targets: CropTargets, weights: TaskWeights) -> float:
    det, box, land = [], [], []
    for i, kind in enumerate(targets.kinds.tolist()):
        if kind in {NEGATIVE, POSITIVE}:
            no, yes = answers[0][i].tolist()
            det.append(math.log(math.exp(no) + math.exp(yes)) - (yes if kind == POSITIVE else no))
        if kind in {POSITIVE, PART}:
            box.append(math.dist(answers[1][i].tolist(), targets.offsets[i].tolist()) ** 2)
        if kind == LANDMARK:
            land.append(math.dist(answers[2][i].tolist(), targets.landmarks[i].tolist()) ** 2)
    hard = sorted(det)[-round(0.7 * len(det)) :]
    means = [sum(task) / max(1, len(task)) for task in (hard, box, land)]
    return sum(weight * mean for weight, mean in zip(weights, means, strict=True))


@pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
def test_it_is_the_formula(stage: str) -> None:
    answers, targets = batch(MIXED)
    losses = MTCNNMultitaskLoss(TASK_WEIGHTS[stage])(*answers, targets=targets)
    assert losses.total.item() == pytest.approx(by_loop(answers, targets, TASK_WEIGHTS[stage]), abs=1e-9)


def test_the_weights_are_those_of_the_paper() -> None:
    assert TASK_WEIGHTS == {"pnet": (1, 0.5, 0.5), "rnet": (1, 0.5, 0.5), "onet": (1, 0.5, 1)}


def test_the_total_is_the_weighted_sum_of_its_parts() -> None:
    answers, targets = batch(MIXED)
    losses = MTCNNMultitaskLoss(TaskWeights(2.0, 3.0, 5.0))(*answers, targets=targets)
    expected = 2 * losses.classification + 3 * losses.boxes + 5 * losses.landmarks
    assert losses.total.item() == pytest.approx(expected.item())
    assert min(losses) > 0


@pytest.mark.parametrize(
    ("kind", "learning"),
    [(NEGATIVE, {0}), (POSITIVE, {0, 1}), (PART, {1}), (LANDMARK, {2})],
    ids=lambda value: value.name if isinstance(value, CropKind) else "",
)
def test_a_crop_teaches_its_own_tasks_only(kind: CropKind, learning: set[int]) -> None:
    answers, targets = batch([kind] * 4)
    for answer in answers:
        answer.requires_grad_()
    gradients = torch.autograd.grad(
        MTCNNMultitaskLoss()(*answers, targets=targets).total, answers, materialize_grads=True
    )
    assert {task for task, gradient in enumerate(gradients) if gradient.abs().sum() > 0} == learning


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 1), (3, 2), (10, 7), (100, 70)])
def test_only_the_hardest_seventy_percent_have_a_gradient(count: int, kept: int) -> None:
    logits = torch.stack([torch.zeros(count), torch.linspace(-3, 3, count)], dim=1).requires_grad_()
    loss = hard_cross_entropy(logits, torch.zeros(count, dtype=torch.int64), hard_share=0.7)
    taught = torch.autograd.grad(loss, logits)[0].abs().sum(1) > 0
    assert taught.tolist() == [False] * (count - kept) + [True] * kept, "the most face-like negatives"


def test_parts_and_landmark_crops_do_not_count_among_the_hard_ones() -> None:
    answers, targets = batch(MIXED)
    classified = [i for i, kind in enumerate(MIXED) if kind in {NEGATIVE, POSITIVE}]
    alone = hard_cross_entropy(answers[0][classified], targets.kinds[classified], hard_share=0.7)
    assert hard_cross_entropy(answers[0], targets.kinds, hard_share=0.7).item() == pytest.approx(alone.item())


@pytest.mark.parametrize("kinds", [[PART], [LANDMARK], [NEGATIVE]], ids=lambda kinds: kinds[0].name)
def test_a_task_without_crops_costs_nothing_and_keeps_its_graph(kinds: list[CropKind]) -> None:
    answers, targets = batch(kinds)
    for answer in answers:
        answer.requires_grad_()
    losses = MTCNNMultitaskLoss()(*answers, targets=targets)
    assert 0 in [loss.item() for loss in losses]
    gradients = torch.autograd.grad(losses.total, answers)
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("has_landmarks", [False, True])
@pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
def test_it_takes_what_the_networks_answer(stage: str, *, has_landmarks: bool) -> None:
    torch.manual_seed(0)
    side = {"pnet": 12, "rnet": 24, "onet": 48}[stage]
    network = {
        "pnet": PNet(has_landmarks=has_landmarks),
        "rnet": RNet(has_landmarks=has_landmarks),
        "onet": ONet(),
    }[stage].eval()
    answers = network(torch.randn(10, 3, side, side))
    logits, offsets, *rest = answers
    _, targets = batch(MIXED)
    targets = CropTargets(targets.kinds, targets.offsets.float(), targets.landmarks.float())
    losses = MTCNNMultitaskLoss(TASK_WEIGHTS[stage])(logits, offsets, *(rest or [None]), targets=targets)
    losses.total.backward()
    untaught = [name for name, value in network.named_parameters() if value.grad is None]
    assert untaught == []
    assert (losses.landmarks > 0) == (has_landmarks or stage == "onet")


def test_the_gradient_is_the_derivative() -> None:
    answers, targets = batch(MIXED)
    loss = MTCNNMultitaskLoss()
    inputs = tuple(answer.requires_grad_() for answer in answers)
    assert torch.autograd.gradcheck(lambda *values: loss(*values, targets=targets).total, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_sure_answers_stay_finite(dtype: torch.dtype) -> None:
    answers, targets = batch(MIXED)
    halves = tuple((100 * answer).to(dtype).requires_grad_() for answer in answers)
    with torch.autocast("cpu", dtype=dtype):
        losses = MTCNNMultitaskLoss()(*halves, targets=targets)
    assert losses.total.isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(losses.total, halves))


def test_a_kind_that_is_none_is_refused() -> None:
    answers, targets = batch(MIXED)
    with pytest.raises(InputError, match="NEGATIVE"):
        MTCNNMultitaskLoss()(*answers, targets=targets._replace(kinds=targets.kinds - 2))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_answer_of_another_shape_is_refused(position: int) -> None:
    answers, targets = batch(MIXED)
    wrong = list(answers)
    wrong[position] = wrong[position][:, :-1]
    with pytest.raises(ShapeError, match=["logits", "offsets", "landmarks"][position]):
        MTCNNMultitaskLoss()(*wrong, targets=targets)


def test_no_crop_is_refused() -> None:
    answers, targets = batch(MIXED)
    with pytest.raises(ShapeError, match="no crop"):
        MTCNNMultitaskLoss()(*(answer[:0] for answer in answers), targets=targets)


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="hard_share"):
        MTCNNMultitaskLoss(hard_share=share)
