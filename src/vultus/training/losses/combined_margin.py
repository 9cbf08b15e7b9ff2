"""Combined margin: one family that holds SphereFace's, ArcFace's and CosFace's margins.

    logit_y = s (cos(m1 theta_y + m2) - m3),    others s cos(theta_j)         (eq. 4)

m1 is `factor`, m2 `margin_rad`, m3 `margin_cos`, s `scale`. The paper's mixtures are CM1 (1, 0.3, 0.2), the
default here, and CM2 (0.9, 0.4, 0.15).

Differs from the paper: where the angle a = m1 theta + m2 passes pi, cos(a) would rise again, so it goes on as

    (-1)^k cos(a) - 2 k,    k pi <= a <= (k + 1) pi

which falls for every m1 and m2. So (m, 0, 0) is A-Softmax's psi, (1, 0, m) is CosFace's margin, and (1, m,
0) is ArcFace's as far as theta = pi - m; from there on ArcFace has a tail of its own.

Deng, Guo, Xue, Zafeiriou: ArcFace: additive angular margin loss for deep face recognition. CVPR 2019.
https://arxiv.org/abs/1801.07698
"""

import math

from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.losses.arcface import check_margin
from vultus.training.losses.cosines import Cosines, angle, class_weights
from vultus.training.losses.margin_softmax import margin_softmax


class CombinedMarginLoss(nn.Module):
    """Softmax with a margin that multiplies, adds and subtracts.

    Args:
        embedding_size: D.
        class_count: C.
        factor: m1, above 0; need not be whole.
        margin_rad: m2, in [0, pi).
        margin_cos: m3.
        scale: s.

    Attributes:
        weight: (C, D).

    Raises:
        InputError: the factor is not above 0, or the angle outside [0, pi).
    """

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        factor: float = 1.0,
        margin_rad: float = 0.3,
        margin_cos: float = 0.2,
        scale: float = 64.0,
    ) -> None:
        super().__init__()
        if not factor > 0:
            raise InputError(f"factor must be above 0, got {factor}")
        check_margin(margin_rad)
        self.weight = class_weights(class_count, embedding_size)
        self.factor = factor
        self.margin_rad = margin_rad
        self.margin_cos = margin_cos
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings of any length with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        turned = falling_cosine(self.factor * angle(cosines.target) + self.margin_rad)
        return self.scale * cosines.place(cosines.values, turned - self.margin_cos)


def falling_cosine(radians: Tensor) -> Tensor:
    """cos(a) up to pi, then (-1)^k cos(a) - 2k: falls for all a >= 0; any shape."""
    k = (radians.detach() / math.pi).floor()
    return (1 - 2 * (k % 2)) * radians.cos() - 2 * k
