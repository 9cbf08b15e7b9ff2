"""Distillation: a small student learns what a large teacher says, at three depths.

    embedding   cosine: 1 - cos(s, t)            l2: |s - t|^2 of unit vectors, which is twice that
    logits      T^2 KL( softmax(t / T) || softmax(s / T) )                                 (Hinton, section 2)
    relations   lambda_D mean_(i != j) h(psi_D(s) - psi_D(t)) + lambda_A mean_(ijk) h(psi_A(s) - psi_A(t))

The student's rows are s, the teacher's t; no gradient reaches the teacher. T is `temperature` (4); without
the T^2 the gradient shrinks with 1 / T^2, and every other loss beside it would outweigh this one. Relations
(Park, section 3.2) need no common space, so the student's embedding may be shorter than the teacher's:

    psi_D(x_i, x_j) = |x_i - x_j| / mean distance in the batch
    psi_A(x_i, x_j, x_k) = cos of the angle at x_j, for three different rows
    h is Huber's loss with delta 1

lambda_D is `distance_weight` (25), lambda_A is `angle_weight` (50): the paper's for classifiers; beside its
metric losses it has 1 and 2.
Differs from the papers: the means leave out i = j and the like, which are always 0; rows at one place have
angle 0.

Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015. https://arxiv.org/abs/1503.02531
Park, Kim, Lu, Cho: Relational knowledge distillation. CVPR 2019. https://arxiv.org/abs/1904.05068
"""

from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import unit, widen
from vultus.training.checks import check_not_negative, check_positive, check_rows
from vultus.training.distances import distances

Measure: TypeAlias = Literal["cosine", "l2"]


class EmbeddingDistillationLoss(nn.Module):
    """The student's embedding becomes the teacher's.

    Args:
        measure: "cosine" or "l2".

    Raises:
        InputError: another measure.
    """

    def __init__(self, *, measure: Measure = "cosine") -> None:
        super().__init__()
        if measure not in get_args(Measure):
            raise InputError(f"measure must be one of {', '.join(get_args(Measure))}, got {measure!r}")
        self.measure = measure

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The mean over (N, D) rows of any length.

        Raises:
            ShapeError: a shape or dtype is another one, or the batch is empty.
        """
        check_rows(student=student, teacher=teacher)
        squares = (unit(student) - unit(teacher.detach())).square().sum(1)
        return squares.mean() if self.measure == "l2" else squares.mean() / 2


class LogitDistillationLoss(nn.Module):
    """The student's class probabilities become the teacher's, softened.

    Args:
        temperature: T.

    Raises:
        InputError: the temperature is not positive.
    """

    def __init__(self, *, temperature: float = 4.0) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The mean over (N, C) logits.

        Raises:
            ShapeError: a shape or dtype is another one, or the batch is empty.
        """
        check_rows(student=student, teacher=teacher)
        learnt = F.log_softmax(widen(student) / self.temperature, dim=1)
        taught = F.log_softmax(widen(teacher.detach()) / self.temperature, dim=1)
        return self.temperature**2 * F.kl_div(learnt, taught, reduction="batchmean", log_target=True)


class RelationalDistillationLoss(nn.Module):
    """The distances and angles among the student's rows become those among the teacher's.

    Args:
        distance_weight: lambda_D.
        angle_weight: lambda_A.

    Raises:
        InputError: a weight is negative.
    """

    def __init__(self, *, distance_weight: float = 25.0, angle_weight: float = 50.0) -> None:
        super().__init__()
        check_not_negative(distance_weight=distance_weight, angle_weight=angle_weight)
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The weighted sum of both relations; 0 for fewer than two rows.

        Args:
            student: (N, D); use unit vectors where unit vectors are compared later. Memory grows with N^3.
            teacher: (N, E), the same pictures.

        Raises:
            ShapeError: a shape or dtype is another one, the batches differ in length or are empty.
        """
        check_rows(student=student)
        check_rows(teacher=teacher)
        if len(student) != len(teacher):
            raise ShapeError(
                f"student and teacher must be of the same pictures, got {len(student)} and {len(teacher)}"
            )
        s, t = widen(student), widen(teacher.detach())
        return self.distance_weight * distance_gap(s, t) + self.angle_weight * angle_gap(s, t)


def distance_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean Huber loss between the (N, N) relative distances of (N, D) and of (N, E) rows."""
    count = len(student)
    gaps = F.smooth_l1_loss(relative_distances(student), relative_distances(teacher), reduction="sum")
    return gaps / max(1, count * (count - 1))


def angle_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean Huber loss between the (N, N, N) angles of (N, D) and of (N, E) rows."""
    count = len(student)
    is_triple = _are_different(count, student.device)
    gaps = F.smooth_l1_loss(angles(student)[is_triple], angles(teacher)[is_triple], reduction="sum")
    return gaps / max(1, count * (count - 1) * (count - 2))


def relative_distances(rows: Tensor) -> Tensor:
    """psi_D: (N, N) distances of (N, D) rows, over their mean; zeros if all rows are one."""
    apart = distances(rows)
    mean = apart.sum() / max(1, len(rows) * (len(rows) - 1))
    return apart / torch.where(mean > 0, mean, 1.0)


def angles(rows: Tensor) -> Tensor:
    """psi_A: (N, N, N) cosines of the angle at j between i and k, [j, i, k]; 0 where a side has no length."""
    sides = rows[None] - rows[:, None]  # (j, i, D): from j to i
    lengths = torch.linalg.vector_norm(sides, dim=2, keepdim=True)
    directions = sides / torch.where(lengths > 0, lengths, 1.0)
    with torch.autocast(rows.device.type, enabled=False):
        return directions @ directions.transpose(1, 2)


def _are_different(count: int, device: torch.device) -> Tensor:
    """(N, N, N) bool: whether three indices are."""
    i = torch.arange(count, device=device)
    is_other = i[:, None] != i
    return is_other[:, :, None] & is_other[:, None, :] & is_other[None, :, :]
