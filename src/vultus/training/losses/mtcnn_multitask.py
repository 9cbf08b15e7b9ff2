"""MTCNN's multi-task loss: face or not, box and landmarks, each learnt from the crops that can teach it.

    L_det  = cross-entropy of face / not a face                            (eq. 1)
    L_box  = |offsets - target|^2,        summed over 4                    (eq. 2)
    L_land = |landmarks - target|^2,      summed over 10                   (eq. 3)
    L      = sum over the tasks j of  alpha_j  sum_i beta_ij L_ij          (eq. 4)

Which task learns from which crop, beta (section II.C):

    crop       IoU with a face   det   box   land
    NEGATIVE   < 0.3              x
    POSITIVE   > 0.65             x     x
    PART       0.4 to 0.65              x
    LANDMARK   (labelled faces)               x

alpha is 1 : 0.5 : 0.5 for P-Net and R-Net, 1 : 0.5 : 1 for O-Net (`TASK_WEIGHTS`). Hard examples: only the
`hard_share` (paper 70 %) of the det crops with the largest loss count, chosen anew in every batch.

**The traps.** The networks end at logits, so there is no softmax before the cross-entropy. A part is neither
a face nor none: as a negative it teaches the classifier what it must unlearn.
Differs from the paper: each task is the mean over its own crops instead of a sum; a task without crops costs
0. Where several processes share a batch, the hardest are those of all its crops, and the numbers that are
divided by are means over the processes, as in `multibox.py`.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks.
IEEE Signal Processing Letters 2016. https://arxiv.org/abs/1604.02878
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import widen
from vultus.training.checks import check_floats, check_indices, check_not_negative
from vultus.training.losses.collectives import mean_count
from vultus.training.losses.ohem import is_hardest_share


class CropKind(IntEnum):
    """What a training crop shows, and so what it can teach."""

    NEGATIVE = 0
    POSITIVE = 1
    PART = 2
    LANDMARK = 3


class TaskWeights(NamedTuple):
    """alpha of each task."""

    classification: float
    boxes: float
    landmarks: float


TASK_WEIGHTS: Final[Mapping[str, TaskWeights]] = {
    "pnet": TaskWeights(1.0, 0.5, 0.5),
    "rnet": TaskWeights(1.0, 0.5, 0.5),
    "onet": TaskWeights(1.0, 0.5, 1.0),
}


class CropTargets(NamedTuple):
    """What N crops should be answered with.

    Attributes:
        kinds: (N,) int64 `CropKind`.
        offsets: (N, 4), in the network's own units; whatever for crops that are neither positive nor part.
        landmarks: (N, 10) x1..x5 y1..y5 in the network's own units; whatever for crops without.
    """

    kinds: Tensor
    offsets: Tensor
    landmarks: Tensor


class MTCNNLosses(NamedTuple):
    """Scalars: the weighted total, and each task's mean before its weight."""

    total: Tensor
    classification: Tensor
    boxes: Tensor
    landmarks: Tensor


class MTCNNMultitaskLoss(nn.Module):
    """The loss of one of the three networks.

    Args:
        weights: alpha, such as `TASK_WEIGHTS["onet"]`.
        hard_share: of the classification losses, how many count, in (0, 1].

    Raises:
        InputError: a weight is negative, or the share outside (0, 1].
    """

    def __init__(self, weights: TaskWeights = TASK_WEIGHTS["pnet"], *, hard_share: float = 0.7) -> None:
        super().__init__()
        check_not_negative(**weights._asdict())
        if not 0 < hard_share <= 1:
            raise InputError(f"hard_share must be in (0, 1], got {hard_share}")
        self.weights = weights
        self.hard_share = hard_share

    def forward(
        self, logits: Tensor, offsets: Tensor, landmarks: Tensor | None, *, targets: CropTargets
    ) -> MTCNNLosses:
        """The losses of what a network answered to N crops.

        Args:
            logits: (N, 2), or P-Net's (N, 2, 1, 1): not a face, face.
            offsets: (N, 4) or (N, 4, 1, 1).
            landmarks: (N, 10) or (N, 10, 1, 1); None from a network without that head.
            targets: what they should have been.

        Raises:
            ShapeError: a shape or dtype is another one, or there is no crop.
            InputError: a kind that is none.
        """
        answers = logits.flatten(1), offsets.flatten(1), None if landmarks is None else landmarks.flatten(1)
        _check(*answers, targets=targets)
        classification = hard_cross_entropy(answers[0], targets.kinds, hard_share=self.hard_share)
        is_boxed = (targets.kinds == CropKind.POSITIVE) | (targets.kinds == CropKind.PART)
        boxes = masked_squares(answers[1], targets.offsets, is_boxed)
        points = boxes.new_zeros(())
        if answers[2] is not None:
            points = masked_squares(answers[2], targets.landmarks, targets.kinds == CropKind.LANDMARK)
        tasks = (classification, boxes, points)
        total = sum(
            (weight * task for weight, task in zip(self.weights, tasks, strict=True)), boxes.new_zeros(())
        )
        return MTCNNLosses(total, *tasks)


def hard_cross_entropy(logits: Tensor, kinds: Tensor, *, hard_share: float) -> Tensor:
    """Eq. 1: the mean over the hardest of the positives and negatives, at least one of them.

    Args:
        logits: (N, 2).
        kinds: (N,) int64 `CropKind`.
        hard_share: how many of them count.
    """
    is_classified = (kinds == CropKind.POSITIVE) | (kinds == CropKind.NEGATIVE)
    losses = F.cross_entropy(widen(logits), (kinds == CropKind.POSITIVE).long(), reduction="none")
    is_chosen, count = is_hardest_share(losses, hard_share, is_candidate=is_classified)
    return losses[is_chosen].sum() / count


def masked_squares(values: Tensor, targets: Tensor, is_taught: Tensor) -> Tensor:
    """Eq. 2 and 3: the mean, over the (N,) rows that are taught, of (N, K) squared errors summed over K."""
    errors = widen(values[is_taught]) - targets[is_taught]
    return errors.square().sum() / mean_count(len(errors), device=errors.device)


def _check(logits: Tensor, offsets: Tensor, landmarks: Tensor | None, *, targets: CropTargets) -> None:
    count = len(logits)
    if count == 0:
        raise ShapeError("there is no crop in the batch: drop such a batch")
    check_floats(logits, (count, 2), "logits")
    check_floats(offsets, (count, 4), "offsets")
    check_floats(targets.offsets, (count, 4), "targets.offsets")
    if landmarks is not None:
        check_floats(landmarks, (count, 10), "landmarks")
        check_floats(targets.landmarks, (count, 10), "targets.landmarks")
    check_indices(targets.kinds, (count,), "targets.kinds")
    kinds = torch.tensor(list(CropKind), device=targets.kinds.device)
    if not torch.isin(targets.kinds, kinds).all():
        raise InputError(
            f"targets.kinds must be of {[kind.name for kind in CropKind]}, got {targets.kinds.tolist()}"
        )
