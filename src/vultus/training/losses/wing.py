"""Wing loss: landmarks, with more weight on errors that are small already.

    wing(x) = w ln(1 + |x| / epsilon)    for |x| < w
            = |x| - C                    beyond,           C = w - w ln(1 + w / epsilon)    (eq. 5)

x is the error of one coordinate, w is `width` (10 here), epsilon is `curvature` (2 here). The slope is
w / (epsilon + |x|): steepest, w / epsilon, at the smallest errors, where that of L2 vanishes.

**The trap.** w and epsilon are in the units of x: 10 pixels, 10 cells and 10 times the face are three losses.
C makes the two pieces meet; their slopes do not (w / (epsilon + w) on the left of w, 1 on the right).

Differs from the paper: the mean over the labelled coordinates, so that a face with fewer labels weighs no
more. Where several processes share a batch, their number is its mean over the processes, as in `multibox.py`.

Feng, Kittler, Awais, Huber, Wu: Wing loss for robust facial landmark localisation with convolutional neural
networks. CVPR 2018. https://arxiv.org/abs/1711.06753
"""

import math

import torch
from torch import Tensor, nn

from vultus.errors import ShapeError
from vultus.networks.embedding import widen
from vultus.training.checks import check_floats, check_mask, check_positive
from vultus.training.losses.collectives import mean_count


class WingLoss(nn.Module):
    """The mean wing loss of the labelled landmarks.

    Args:
        width: w.
        curvature: epsilon.

    Raises:
        InputError: one of them is not positive.
    """

    def __init__(self, *, width: float = 10.0, curvature: float = 2.0) -> None:
        super().__init__()
        check_positive(width=width, curvature=curvature)
        self.width = width
        self.curvature = curvature

    def forward(self, landmarks: Tensor, targets: Tensor, is_labelled: Tensor) -> Tensor:
        """The mean over labelled coordinates; 0, with a graph, where there are none.

        Args:
            landmarks: (N, P, 2) x y; N may be 0.
            targets: (N, P, 2); whatever where there is no label.
            is_labelled: (N, P) bool.

        Raises:
            ShapeError: another shape or dtype.
        """
        if landmarks.ndim != 3:
            raise ShapeError(f"landmarks must have shape (N, P, 2), got {tuple(landmarks.shape)}")
        shape = (*landmarks.shape[:2], 2)
        check_floats(landmarks, shape, "landmarks")
        check_floats(targets, shape, "targets")
        check_mask(is_labelled, shape[:2], "is_labelled")
        errors = widen(landmarks[is_labelled]) - targets[is_labelled]  # (labelled, 2)
        count = mean_count(errors.numel(), device=errors.device)
        return wing(errors, width=self.width, curvature=self.curvature).sum() / count


def wing(errors: Tensor, *, width: float, curvature: float) -> Tensor:
    """Eq. 5 for each of the errors; any shape."""
    size = errors.abs()
    offset = width - width * math.log1p(width / curvature)
    return torch.where(size < width, width * (size / curvature).log1p(), size - offset)
