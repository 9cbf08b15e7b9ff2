"""CurricularFace: easy faces first, hard negatives later.

    logit_y = s T(theta_y),    T(theta) = cos(theta + m)
    logit_j = s cos(theta_j)                           where cos(theta_j) <= T(theta_y): easy
            = s cos(theta_j) (t + cos(theta_j))        else: hard
    t <- alpha r + (1 - alpha) t,    r = mean of cos(theta_y) over the batch

t starts at 0, so that hard negatives are weighed down, and grows with the network's skill until they weigh
more than easy ones. m is `margin_rad` (paper 0.5), s is `scale` (paper 64), alpha is `momentum` (paper 0.01
for the batch). Neither t nor the comparison has a gradient.
Differs from the paper: beyond theta_y = pi - m, T is ArcFace's tail, as in the authors' code; "hard" is
judged by that same T, where their code compares with cos(theta_y + m) there too.

Huang, Wang, Tai, Liu, Shen, Li, Li, Huang: CurricularFace: adaptive curriculum learning loss. CVPR 2020.
https://arxiv.org/abs/2004.00288
"""

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.losses.arcface import add_angle, check_margin
from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax


class CurricularFaceLoss(nn.Module):
    """ArcFace whose hard negatives weigh more as training goes on.

    Args:
        embedding_size: D.
        class_count: C.
        margin_rad: m, in [0, pi).
        scale: s.
        momentum: alpha, in (0, 1].

    Attributes:
        weight: (C, D).
        progress: t, part of the state, so that a resumed run goes on.

    Raises:
        InputError: the margin is outside [0, pi), or the momentum outside (0, 1].
    """

    progress: Tensor

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        margin_rad: float = 0.5,
        scale: float = 64.0,
        momentum: float = 0.01,
    ) -> None:
        super().__init__()
        check_margin(margin_rad)
        if not 0 < momentum <= 1:
            raise InputError(f"momentum must be in (0, 1], got {momentum}")
        self.weight = class_weights(class_count, embedding_size)
        self.margin_rad = margin_rad
        self.scale = scale
        self.momentum = momentum
        self.register_buffer("progress", torch.zeros(()))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings of any length with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C); in training, t first takes in this batch."""
        if self.training:
            self.progress.lerp_(cosines.target.detach().mean().to(self.progress), self.momentum)
        own = add_angle(cosines.target, self.margin_rad)
        others = weigh_hard(cosines.values, own, progress=self.progress)
        return self.scale * cosines.place(others, own)


def weigh_hard(cosine: Tensor, own: Tensor, *, progress: Tensor) -> Tensor:
    """cos(theta_j) where easy, cos(theta_j) (t + cos(theta_j)) where hard.

    Args:
        cosine: (N, C).
        own: (N,), T(theta_y) of each row.
        progress: t, a scalar.
    """
    is_hard = cosine.detach() > own.detach()[:, None]
    return torch.where(is_hard, cosine * (progress + cosine), cosine)
