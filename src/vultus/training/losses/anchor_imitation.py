"""Anchor imitation: a small detector answers each anchor as a trained one does.

    L = 1/P sum_(anchors) KL( softmax(t) || softmax(s) )
      + 1/P sum_(teacher's faces) [ smoothL1(b_s - b_t), summed over 4 ]
      + 1/P sum_(teacher's faces) [ smoothL1(l_s - l_t), summed over 10 ]

s and t are the class logits of student and teacher, b and l their box and landmark deltas, which mean the
same only if both have the same anchors. A teacher's face is an anchor to which it gives at least `min_score`
(0.5); P counts them over the batch (of all processes: the mean). An anchor that both find easy adds next to
nothing to the first sum, so it needs no mining; the sum tells the student which background looks like a face,
and how much. The teacher's offsets teach where the labels are rough, and landmarks where none are labelled.

The idea is Hinton's (logits of a larger network as targets) and Chen's (for detectors, boxes included); this
form, without temperature and with the teacher's faces instead of the labelled ones, is ours.

Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015. https://arxiv.org/abs/1503.02531
Chen, Choi, Yu, Han, Chandraker: Learning efficient object detection models with knowledge distillation.
NIPS 2017.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import widen
from vultus.training.checks import check_floats
from vultus.training.losses.collectives import mean_count

Answer = tuple[Tensor, Tensor, Tensor]
"""What `RetinaFaceNet` answers: (N, A, 2) class logits, (N, A, 4) box deltas, (N, A, 10) landmark deltas."""


class ImitationLosses(NamedTuple):
    """Scalars: the sum, and its parts."""

    total: Tensor
    classification: Tensor
    boxes: Tensor
    landmarks: Tensor


class AnchorImitationLoss(nn.Module):
    """How far a student's answer is from its teacher's.

    Args:
        min_score: what the teacher must give an anchor for its box and landmarks to be imitated.

    Raises:
        InputError: it does not lie between 0 and 1.
    """

    def __init__(self, *, min_score: float = 0.5) -> None:
        super().__init__()
        if not 0 < min_score < 1:
            raise InputError(f"min_score must lie between 0 and 1, got {min_score}")
        self.min_score = min_score

    def forward(self, student: Answer, teacher: Answer) -> ImitationLosses:
        """The losses of two answers to the same images; no gradient reaches the teacher.

        Raises:
            ShapeError: the answers have other shapes, or not the same.
        """
        names = ("class_logits", "box_deltas", "landmark_deltas")
        grid = tuple(student[0].shape[:2])
        for name, size, ours, theirs in zip(names, (2, 4, 10), student, teacher, strict=True):
            check_floats(ours, (*grid, size), f"the student's {name}")
            check_floats(theirs, (*grid, size), f"the teacher's {name}")
        logits, boxes, landmarks = (widen(each) for each in student)
        their_logits, their_boxes, their_landmarks = (widen(each).detach() for each in teacher)
        targets = their_logits.softmax(-1)
        is_face = targets[..., 1] >= self.min_score
        count = mean_count(is_face.sum(), device=logits.device)
        divergence = F.kl_div(logits.log_softmax(-1), targets, reduction="sum") / count
        box = F.smooth_l1_loss(boxes[is_face], their_boxes[is_face], reduction="sum") / count
        points = F.smooth_l1_loss(landmarks[is_face], their_landmarks[is_face], reduction="sum") / count
        return ImitationLosses(divergence + box + points, divergence, box, points)
