"""What the tests of the losses share: a batch drawn from a fixed seed, in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """The class weights of a loss come from the global generator."""
    torch.manual_seed(0)


@pytest.fixture
def draw() -> Callable[..., Batch]:
    """Makes (N, D) float64 embeddings of about a length, and (N,) labels that leave the last class out."""

    def batch(
        count: int = 12, *, embedding_size: int = 6, class_count: int = 5, length: float = 1.0
    ) -> Batch:
        generator = torch.Generator().manual_seed(3)
        embeddings = torch.randn(count, embedding_size, dtype=torch.float64, generator=generator)
        labels = torch.randint(0, class_count - 1, (count,), generator=generator)
        return embeddings * length / embedding_size**0.5, labels

    return batch


@pytest.fixture
def softmax_loop() -> Callable[[list[list[float]], list[int]], float]:
    """The mean cross-entropy in plain Python: log z - (logit - max)."""

    def mean_loss(logits: list[list[float]], labels: list[int]) -> float:
        losses = []
        for row, label in zip(logits, labels, strict=True):
            highest = max(row)
            z = sum(math.exp(logit - highest) for logit in row)
            losses.append(math.log(z) - (row[label] - highest))
        assert losses
        return sum(losses) / len(losses)

    return mean_loss


@pytest.fixture
def angles() -> Callable[[Tensor, Tensor], list[list[float]]]:
    """The angle of each embedding with each class, in plain Python."""

    def all_angles(embeddings: Tensor, weight: Tensor) -> list[list[float]]:
        return [[_angle(x, w) for w in weight.tolist()] for x in embeddings.tolist()]

    return all_angles


def _angle(x: list[float], w: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, w, strict=True))
    return math.acos(max(-1.0, min(1.0, dot / (math.hypot(*x) * math.hypot(*w)))))
