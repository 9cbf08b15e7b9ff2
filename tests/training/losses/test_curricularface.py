"""CurricularFace: the formula, what is hard, and how t moves."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from vultus.errors import InputError
from vultus.training.losses import ArcFaceLoss, CurricularFaceLoss
from vultus.training.losses.cosines import Cosines
from vultus.training.losses.curricularface import weigh_hard


def turned(theta: float) -> float:
    is_tail = math.cos(theta) <= math.cos(math.pi - 0.5)
    return math.cos(theta) - 0.5 * math.sin(0.5) if is_tail else math.cos(theta + 0.5)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.9])
def test_the_loss_is_the_formula(
    progress: float, draw: Callable[..., Any], angles: Callable[..., Any], softmax_loop: Callable[..., Any]
) -> None:
    embeddings, labels = draw(40)
    loss = CurricularFaceLoss(6, 5).double().eval()
    loss.progress.fill_(progress)
    logits, hard = [], []
    for row, y in zip(angles(embeddings, loss.weight), labels.tolist(), strict=True):
        own = turned(row[y])
        values = []
        for j, theta in enumerate(row):
            cosine = math.cos(theta)
            hard.append(j != y and cosine > own)
            values.append(own if j == y else cosine * (progress + cosine) if hard[-1] else cosine)
        logits.append([64 * value for value in values])
    assert 10 < sum(hard) < 150
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loop(logits, labels.tolist()), abs=1e-6)


def test_only_what_is_above_the_own_logit_is_hard() -> None:
    cosine = torch.tensor([[0.9, 0.5, 0.2], [0.9, 0.5, 0.2]])
    weighed = weigh_hard(cosine, torch.tensor([0.5, 0.1]), progress=torch.tensor(0.3))
    expected = torch.tensor([[0.9 * 1.2, 0.5, 0.2], [0.9 * 1.2, 0.5 * 0.8, 0.2 * 0.5]])
    torch.testing.assert_close(weighed, expected)


def test_without_hard_negatives_it_is_arcface() -> None:
    labels = torch.arange(5)
    curricular = CurricularFaceLoss(5, 5).double()
    arcface = ArcFaceLoss(5, 5).double()
    with torch.no_grad():
        curricular.weight.copy_(torch.eye(5))
        arcface.weight.copy_(torch.eye(5))
    faces = torch.eye(5, dtype=torch.float64) + 0.05
    torch.testing.assert_close(curricular(faces, labels), arcface(faces, labels))


def test_t_starts_at_zero_and_follows_the_mean_own_cosine(draw: Callable[..., Any]) -> None:
    embeddings, labels = draw()
    loss = CurricularFaceLoss(6, 5).double()
    mean = Cosines.of(embeddings, loss.weight, labels).target.mean().item()
    assert loss.progress.item() == 0
    expected = 0.0
    for _ in range(3):
        loss(embeddings, labels)
        expected = 0.01 * mean + 0.99 * expected
    assert loss.progress.item() == pytest.approx(expected)
    assert not loss.progress.requires_grad


def test_the_first_batch_already_moves_t_before_it_is_used() -> None:
    loss = CurricularFaceLoss(2, 2, momentum=1.0)
    with torch.no_grad():
        loss.weight.copy_(torch.eye(2))
    logits = loss.logits(Cosines.of(torch.tensor([[0.6, 0.8]]), loss.weight, torch.tensor([0])))
    assert logits[0, 1].item() == pytest.approx(64 * 0.8 * (0.6 + 0.8), rel=1e-5)


@pytest.mark.parametrize("options", [{"margin_rad": 30.0}, {"momentum": 1.5}])
def test_what_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        CurricularFaceLoss(4, 3, **options)
