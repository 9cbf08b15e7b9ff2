"""Complete IoU: overlap, distance of the centres and difference of the shapes in one box loss.

    CIoU = IoU - rho^2 / c^2 - alpha v                                                     (eq. 8, 10)
    v = 4 / pi^2 (atan(w* / h*) - atan(w / h))^2                                           (eq. 9)
    alpha = v / (1 - IoU + v)                                                              (eq. 11)

rho is the distance of the two centres, c the diagonal of the smallest box around both. 1 is a perfect box,
values below 0 are boxes apart, which still have a gradient: IoU alone has none there. The loss is 1 - CIoU.

alpha is a weight, and has no gradient, as in the authors' code. Differs from that code: the gradient of v
keeps its 1 / (w^2 + h^2); they drop it for boxes measured in images, where it explodes. Measure boxes in
pixels or cells.

Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU loss: faster and better learning for bounding box regression. AAAI
2020. https://arxiv.org/abs/1911.08287

"""

import math

import torch
from torch import Tensor

from vultus.networks.embedding import widen

SMALLEST_SIDE = 1e-6  # below, the shape of a box is not judged: the gradient of its angle grows with 1 / side


def ciou(boxes_cxcywh: Tensor, targets_cxcywh: Tensor) -> Tensor:
    """(N,) CIoU, in (-1.5, 1], of (N, 4) boxes with (N, 4) others: centre x, centre y, width, height.

    Sizes must not be negative; two boxes without area at one place have an IoU of 0.
    """
    boxes, targets = widen(boxes_cxcywh), widen(targets_cxcywh)
    tiny = torch.finfo(boxes.dtype).tiny
    low, high = _corners(boxes)
    target_low, target_high = _corners(targets)
    intersection = (torch.minimum(high, target_high) - torch.maximum(low, target_low)).clamp(min=0).prod(1)
    union = boxes[:, 2:].prod(1) + targets[:, 2:].prod(1) - intersection
    iou = intersection / union.clamp(min=tiny)
    diagonal = (torch.maximum(high, target_high) - torch.minimum(low, target_low)).square().sum(1)
    offset = (boxes[:, :2] - targets[:, :2]).square().sum(1)
    shape = 4 / math.pi**2 * (_angle(targets) - _angle(boxes)).square()
    with torch.no_grad():
        alpha = shape / (1 - iou + shape).clamp(min=tiny)
    return iou - offset / diagonal.clamp(min=tiny) - alpha * shape


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    half = boxes[:, 2:] / 2
    return boxes[:, :2] - half, boxes[:, :2] + half


def _angle(boxes: Tensor) -> Tensor:
    """atan(w / h), with a finite gradient for flat boxes; pi / 4 for a box that is a point."""
    width, height = boxes[:, 2:].clamp(min=SMALLEST_SIDE).unbind(1)
    return torch.atan2(width, height)
