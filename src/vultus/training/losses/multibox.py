"""RetinaFace's MultiBox loss: each anchor says whether it holds a face, and where its box and landmarks are.

    L = lambda_cls 1/P sum_(positives, hard negatives) CE(p, p*)
      + lambda_box 1/P sum_(positives)                 smoothL1(t - t*),      summed over 4
      + lambda_pts 1/Q sum_(labelled positives)        smoothL1(l - l*),      summed over 10

    smoothL1(x) = x^2 / 2 where |x| < 1, else |x| - 1/2

P counts the positive anchors of the batch, Q those of them whose face has landmarks; t* and l* are encoded as
in `geometry/anchors.py`. Hard negatives: in each image, the `negative_ratio` (7) times as many background
anchors as positive ones that look most like a face. lambda is (1, 2, 1), that of the classic PyTorch
implementation, from which the public weights come; the paper has (1, 0.25, 0.1) and a further loss for a 3-D
mesh.

**The traps.** A face without landmark labels is still a face: it is masked out of the landmark loss only, and
Q is not P. An anchor that is neither (-1) is no negative. An image without faces has no hard negatives, so it
teaches nothing; the sum is divided by max(1, P). Where several processes share a batch, P and Q are their
means over the processes, so that the mean of the processes' losses is the loss of the whole batch.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace: single-shot multi-level face localisation in the wild.
CVPR 2020. https://arxiv.org/abs/1905.00641
Liu et al.: SSD: single shot multibox detector. ECCV 2016. https://arxiv.org/abs/1512.02325

"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import widen
from vultus.training.checks import check_floats, check_indices, check_mask, check_not_negative, check_positive
from vultus.training.losses.collectives import mean_count
from vultus.training.losses.ohem import is_hardest

FACE, BACKGROUND, IGNORED = 1, 0, -1


class AnchorTargets(NamedTuple):
    """What the A anchors of N images should be answered with.

    Attributes:
        classes: (N, A) int64: 1 face, 0 background, -1 neither (between the two IoU limits, or hidden).
        box_deltas: (N, A, 4), from `encode_boxes`; whatever at anchors that are not faces.
        landmark_deltas: (N, A, 10), from `encode_landmarks`; whatever at anchors without.
        has_landmarks: (N, A) bool, whether the anchor's face has landmark labels.
    """

    classes: Tensor
    box_deltas: Tensor
    landmark_deltas: Tensor
    has_landmarks: Tensor


class MultiBoxLosses(NamedTuple):
    """Scalars: the weighted total, and each part before its weight."""

    total: Tensor
    classification: Tensor
    boxes: Tensor
    landmarks: Tensor


class MultiBoxLoss(nn.Module):
    """The loss of RetinaFace's three outputs.

    Args:
        negative_ratio: hard negatives for each positive anchor.
        class_weight: lambda_cls.
        box_weight: lambda_box.
        landmark_weight: lambda_pts.

    Raises:
        InputError: the ratio is not positive, or a weight is negative.
    """

    def __init__(
        self,
        *,
        negative_ratio: int = 7,
        class_weight: float = 1.0,
        box_weight: float = 2.0,
        landmark_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(negative_ratio=negative_ratio)
        check_not_negative(class_weight=class_weight, box_weight=box_weight, landmark_weight=landmark_weight)
        self.negative_ratio = negative_ratio
        self.class_weight = class_weight
        self.box_weight = box_weight
        self.landmark_weight = landmark_weight

    def forward(
        self, class_logits: Tensor, box_deltas: Tensor, landmark_deltas: Tensor, *, targets: AnchorTargets
    ) -> MultiBoxLosses:
        """The losses of what `RetinaFaceNet` answered to N images.

        Args:
            class_logits: (N, A, 2), background first.
            box_deltas: (N, A, 4).
            landmark_deltas: (N, A, 10).
            targets: what they should have been.

        Raises:
            ShapeError: a shape or dtype is another one, or there is no anchor.
            InputError: a class that is none of 1, 0, -1.
        """
        _check(class_logits, box_deltas, landmark_deltas, targets=targets)
        is_face = targets.classes == FACE
        classification = hard_negative_cross_entropy(class_logits, targets.classes, ratio=self.negative_ratio)
        boxes = smooth_l1(box_deltas[is_face], targets.box_deltas[is_face])
        is_labelled = is_face & targets.has_landmarks
        landmarks = smooth_l1(landmark_deltas[is_labelled], targets.landmark_deltas[is_labelled])
        total = (
            self.class_weight * classification + self.box_weight * boxes + self.landmark_weight * landmarks
        )
        return MultiBoxLosses(total, classification, boxes, landmarks)


def hard_negative_cross_entropy(class_logits: Tensor, classes: Tensor, *, ratio: int) -> Tensor:
    """The cross-entropy of all positives and the hardest negatives of each image, per positive.

    Args:
        class_logits: (N, A, 2), background first.
        classes: (N, A) int64: 1, 0 or -1.
        ratio: negatives for each positive.
    """
    is_face = classes == FACE
    losses = F.cross_entropy(widen(class_logits).transpose(1, 2), is_face.long(), reduction="none")  # (N, A)
    is_hard = is_hardest(losses, ratio * is_face.sum(1), is_candidate=classes == BACKGROUND)
    return losses[is_face | is_hard].sum() / mean_count(is_face.sum(), device=losses.device)


def smooth_l1(deltas: Tensor, targets: Tensor) -> Tensor:
    """The mean, over the (P, K) rows of all ranks, of the smooth L1 distance summed over K; 0 for no rows."""
    count = mean_count(len(deltas), device=deltas.device)
    return F.smooth_l1_loss(widen(deltas), widen(targets), reduction="sum") / count


def _check(
    class_logits: Tensor, box_deltas: Tensor, landmark_deltas: Tensor, *, targets: AnchorTargets
) -> None:
    grid = tuple(class_logits.shape[:2])
    if class_logits.ndim != 3 or 0 in grid:
        raise ShapeError(
            f"class_logits must have shape (N, A, 2), none of them 0, got {tuple(class_logits.shape)}"
        )
    check_floats(class_logits, (*grid, 2), "class_logits")
    check_floats(box_deltas, (*grid, 4), "box_deltas")
    check_floats(landmark_deltas, (*grid, 10), "landmark_deltas")
    check_floats(targets.box_deltas, (*grid, 4), "targets.box_deltas")
    check_floats(targets.landmark_deltas, (*grid, 10), "targets.landmark_deltas")
    check_mask(targets.has_landmarks, grid, "targets.has_landmarks")
    check_indices(targets.classes, grid, "targets.classes")
    lowest, highest = (int(extreme) for extreme in torch.aminmax(targets.classes))
    if lowest < IGNORED or highest > FACE:
        raise InputError(f"targets.classes must be 1, 0 or -1, got {lowest}..{highest}")
