"""YOLOv5-Face's loss: boxes by CIoU, objectness everywhere, landmarks by Wing loss where they are labelled.

    L = sum over levels of  lambda_box mean_M(1 - CIoU) + lambda_obj b mean_P BCE(t_obj, o)
                          + lambda_cls mean_M BCE(t_cls, 1) + lambda_pts mean wing(landmarks - targets)

P are all predictions of a level, M those that were matched to a face; o is the CIoU of a matched prediction
(at least 0, taken as a constant, the better one where two faces share a prediction), and 0 elsewhere; but the
predictions that would find an ignored face are neither face nor background: their BCE counts as 0. b is
`level_balance`: fine levels have many predictions and few faces. The matching is the caller's. Where several
processes share a batch, M and P are their means over them, as in `multibox.py`.

Everything is in cells of the level (pixels / stride). Raw outputs t at column i, row j, anchor a_w x a_h:

    x = 2 sigmoid(t_x) - 0.5 + i    w = (2 sigmoid(t_w))^2 a_w    landmark x = t a_w + i    (y, h with j, a_h)

The weights (0.05, 1, 0.5, 0.005) are those that were published with the public weights, as is b; their code,
which this is not made from, further multiplies by the batch size.
Differs from YOLO5Face: the class term. There is one class, "face", so YOLOv5 leaves it out; but the score
that is detected with is sigmoid(t_obj) sigmoid(t_cls), and an untaught factor would be noise on it.

Qi, Tan, Yao, Liu: YOLO5Face: Why reinventing a face detector. ECCVW 2022. https://arxiv.org/abs/2105.12931
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import widen
from vultus.networks.yolov5_face import OBJECTNESS, VALUES_PER_ANCHOR
from vultus.training.checks import check_floats, check_indices, check_mask, check_not_negative
from vultus.training.losses.ciou import ciou
from vultus.training.losses.collectives import mean_count
from vultus.training.losses.wing import WingLoss

CLASS = VALUES_PER_ANCHOR - 1  # its position among the 16
LEVEL_BALANCE = {3: (4.0, 1.0, 0.4), 4: (4.0, 1.0, 0.25, 0.06)}  # by the number of levels, finest first


class LevelTargets(NamedTuple):
    """The M faces that were matched to predictions of one level, in cells; M may be 0.

    Attributes:
        rows: (M,) int64, the prediction, among the P of the level.
        cells: (M, 2) float column, row of that prediction.
        anchors_wh: (M, 2) its anchor.
        boxes_cxcywh: (M, 4) the face.
        landmarks: (M, 5, 2) x y; whatever where there is no label.
        is_labelled: (M, 5) bool, which landmarks have one.
        ignored_rows: (I,) int64, the predictions that would be matched to ignored faces; I may be 0. Those of
            them that are matched to a face as well learn that.
    """

    rows: Tensor
    cells: Tensor
    anchors_wh: Tensor
    boxes_cxcywh: Tensor
    landmarks: Tensor
    is_labelled: Tensor
    ignored_rows: Tensor


class YOLOv5FaceWeights(NamedTuple):
    """lambda of each part."""

    boxes: float = 0.05
    objectness: float = 1.0
    classes: float = 0.5
    landmarks: float = 0.005


class YOLOv5FaceLosses(NamedTuple):
    """Scalars: the weighted total, and each part, summed over the levels, before its weight."""

    total: Tensor
    boxes: Tensor
    objectness: Tensor
    classes: Tensor
    landmarks: Tensor


class YOLOv5FaceLoss(nn.Module):
    """The loss of all levels.

    Args:
        weights: lambda.
        level_balance: b of each level, finest first; by default `LEVEL_BALANCE` for 3 or 4 levels.

    Raises:
        InputError: a weight is negative.
    """

    def __init__(
        self, weights: YOLOv5FaceWeights | None = None, *, level_balance: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.weights = weights or YOLOv5FaceWeights()
        check_not_negative(**self.weights._asdict())
        check_not_negative(level_balance=min(level_balance or (0.0,)))
        self.level_balance = level_balance
        self.wing = WingLoss()

    def forward(self, predictions: Sequence[Tensor], targets: Sequence[LevelTargets]) -> YOLOv5FaceLosses:
        """The losses of raw outputs.

        Args:
            predictions: for each level, finest first, (P, 16) raw outputs of the whole batch: the
                network's map as `.reshape(-1, 16)`.
            targets: for each level, what was matched to them.

        Raises:
            ShapeError: a shape or dtype is another one, or a level has no prediction.
            InputError: the lengths disagree, or a row is none of the predictions.
        """
        balance = self.level_balance or LEVEL_BALANCE.get(len(predictions), ())
        if not len(predictions) == len(targets) == len(balance):
            raise InputError(
                f"predictions, targets and level_balance must name the same levels, "
                f"got {len(predictions)}, {len(targets)} and {len(balance)}"
            )
        levels = [
            self._level(raw, level, balance=share)
            for raw, level, share in zip(predictions, targets, balance, strict=True)
        ]
        parts = [torch.stack(part).sum() for part in zip(*levels, strict=True)]
        total = torch.stack([weight * part for weight, part in zip(self.weights, parts, strict=True)]).sum()
        return YOLOv5FaceLosses(total, *parts)

    def _level(self, raw: Tensor, targets: LevelTargets, *, balance: float) -> tuple[Tensor, ...]:
        """Boxes, objectness, classes and landmarks of one level."""
        _check(raw, targets)
        raw = widen(raw)
        matched = raw[targets.rows]
        boxes, landmarks = decode_matched(matched, cells=targets.cells, anchors_wh=targets.anchors_wh)
        overlap = ciou(boxes, targets.boxes_cxcywh)
        objectness = F.binary_cross_entropy_with_logits(
            raw[:, OBJECTNESS],
            objectness_targets(overlap, targets.rows, count=len(raw)),
            weight=objectness_weights(targets, count=len(raw)),
            reduction="sum",
        ) / mean_count(len(raw), device=raw.device)
        classes = F.softplus(-matched[:, CLASS])  # BCE with the target 1
        count = mean_count(len(matched), device=raw.device)
        wing: Tensor = self.wing(landmarks, targets.landmarks, targets.is_labelled)
        return (1 - overlap).sum() / count, balance * objectness, classes.sum() / count, wing


def decode_matched(raw: Tensor, *, cells: Tensor, anchors_wh: Tensor) -> tuple[Tensor, Tensor]:
    """The boxes and landmarks that raw outputs mean, in cells.

    Args:
        raw: (M, 16).
        cells: (M, 2) column, row.
        anchors_wh: (M, 2).

    Returns:
        (M, 4) centre x, centre y, width, height; (M, 5, 2) landmarks.
    """
    doubled = 2 * raw[:, :OBJECTNESS].sigmoid()
    boxes = torch.cat([doubled[:, :2] - 0.5 + cells, doubled[:, 2:].square() * anchors_wh], dim=1)
    points = raw[:, OBJECTNESS + 1 : CLASS].reshape(-1, 5, 2)
    return boxes, points * anchors_wh[:, None] + cells[:, None]


@torch.no_grad()
def objectness_targets(overlap: Tensor, rows: Tensor, *, count: int) -> Tensor:
    """(count,): the largest of the (M,) overlaps at each of the (M,) rows, at least 0; 0 elsewhere."""
    return overlap.new_zeros(count).scatter_reduce(0, rows, overlap, reduce="amax")


def objectness_weights(targets: LevelTargets, *, count: int) -> Tensor:
    """(count,): 0 where an ignored face would be found, and no other; 1 elsewhere."""
    weights = targets.cells.new_ones(count)
    weights[targets.ignored_rows] = 0
    weights[targets.rows] = 1
    return weights


def _check(raw: Tensor, targets: LevelTargets) -> None:
    if len(raw) == 0:
        raise ShapeError("a level has no prediction")
    check_floats(raw, (len(raw), VALUES_PER_ANCHOR), "predictions")
    count = len(targets.rows)
    check_indices(targets.rows, (count,), "rows")
    check_floats(targets.cells, (count, 2), "cells")
    check_floats(targets.anchors_wh, (count, 2), "anchors_wh")
    check_floats(targets.boxes_cxcywh, (count, 4), "boxes_cxcywh")
    check_floats(targets.landmarks, (count, 5, 2), "landmarks")
    check_mask(targets.is_labelled, (count, 5), "is_labelled")
    check_indices(targets.ignored_rows, (len(targets.ignored_rows),), "ignored_rows")
    for name, rows in (("rows", targets.rows), ("ignored_rows", targets.ignored_rows)):
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(raw):
            raise InputError(f"{name} must lie in 0..{len(raw) - 1}, got {rows.min()}..{rows.max()}")
