"""Hints: a student's maps become those of its teacher, stage by stage.

    L = mean over stages of  sum |s - t|^2 / sum |t - m|^2,     m the mean of t in each channel

s and t are the student's and the teacher's maps of one stage. The denominator is the teacher's own variance:
a stage that says nothing costs 1, one that says the same costs 0, and loud stages do not outweigh quiet ones.
Every place of every image teaches, where labels teach only the few places with a face: a small network that
starts from random weights gains most.
Where several processes share a batch, m and the denominator are those of all its images.
Differs from the paper: all stages are taught at once, beside the task, and not one stage before it; maps have
the same number of channels, so no regressor stands between.

Romero, Ballas, Kahou, Chassang, Gatta, Bengio: FitNets: hints for thin deep nets. ICLR 2015.
https://arxiv.org/abs/1412.6550
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vultus.errors import ShapeError
from vultus.networks.embedding import widen
from vultus.training.losses.collectives import mean_over_ranks


def hint_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The mean share of the teacher's variance that the student misses.

    Args:
        student: (N, C, H, W) maps, one for each stage.
        teacher: maps of the same shapes; no gradient reaches them.

    Raises:
        ShapeError: not the same number of stages, none at all, or maps of other shapes.
    """
    shapes = [tuple(maps.shape) for maps in student]
    expected = [tuple(maps.shape) for maps in teacher]
    if not shapes or shapes != expected:
        raise ShapeError(
            f"the student's maps must have the shapes of the teacher's, {expected}, got {shapes}"
        )
    return torch.stack(
        [_missed(widen(s), widen(t).detach()) for s, t in zip(student, teacher, strict=True)]
    ).mean()


def _missed(student: Tensor, teacher: Tensor) -> Tensor:
    places = mean_over_ranks(torch.tensor(float(teacher[:, 0].numel()), device=teacher.device))
    means = mean_over_ranks(teacher.sum((0, 2, 3), keepdim=True)) / places
    variance = mean_over_ranks((teacher - means).square().sum())
    return (student - teacher).square().sum() / variance.clamp(min=torch.finfo(variance.dtype).tiny)
