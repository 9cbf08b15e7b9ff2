"""AdaFace: a margin that adapts to how good the image is, read from the embedding's length.

    z = clip((|x| - mu) / (sigma / h), -1, 1)
    logit_y = s (cos(theta_y - m z) - (m z + m)),    others s cos(theta_j)

z = -1 (short embedding, poor image) is ArcFace, which presses on easy faces most; z = 0 is CosFace, which
presses on all alike; z = 1 (sharp image) has a negative angle and presses on hard faces most. So faces that
nobody could recognise do not spoil the training.

mu and sigma are running mean and standard deviation of the lengths: (1 - alpha) old + alpha batch, alpha is
`momentum` (paper 0.01). m is `margin` (paper 0.4), which serves as angle and as cosine; h is `concentration`
(paper 0.333); s is `scale` (paper 64). z has no gradient.

As in the authors' code: lengths are cut to [0.001, 100], the running values start at 20 and 100, the angle
theta_y - m z is cut to [0, pi]. Differs from it: there the angle is cut 0.001 inside of that and every cosine
at +-0.999, where its gradient ends; and a batch of one, which has no deviation, leaves sigma as it is.

Kim, Jain, Liu: AdaFace: quality adaptive margin for face recognition. CVPR 2022.
https://arxiv.org/abs/2204.00964
"""

import math

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.losses.cosines import Cosines, angle, class_weights
from vultus.training.losses.margin_softmax import margin_softmax

SHORTEST, LONGEST = 0.001, 100.0
INITIAL_MEAN, INITIAL_STD = 20.0, 100.0
EPS = 1e-3  # keeps the division apart from 0, as in the authors' code


class AdaFaceLoss(nn.Module):
    """Softmax with a margin per face.

    Args:
        embedding_size: D.
        class_count: C.
        margin: m.
        concentration: h.
        scale: s.
        momentum: alpha, in (0, 1].

    Attributes:
        weight: (C, D).
        mean: mu, the running mean length.
        std: sigma, the running standard deviation.

    Raises:
        InputError: the momentum is outside (0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        margin: float = 0.4,
        concentration: float = 0.333,
        scale: float = 64.0,
        momentum: float = 0.01,
    ) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise InputError(f"momentum must be in (0, 1], got {momentum}")
        self.weight = class_weights(class_count, embedding_size)
        self.margin = margin
        self.concentration = concentration
        self.scale = scale
        self.momentum = momentum
        self.register_buffer("mean", torch.tensor(INITIAL_MEAN))
        self.register_buffer("std", torch.tensor(INITIAL_STD))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) un-normalised embeddings with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C); in training, the running values first take in this batch."""
        lengths = cosines.lengths.detach().clamp(SHORTEST, LONGEST)
        if self.training:
            self._take_in(lengths)
        z = (lengths - self.mean) / (self.std + EPS) * self.concentration
        own = adapted_cosine(cosines.target, self.margin, quality=z.clamp(-1, 1))
        return self.scale * cosines.place(cosines.values, own)

    def _take_in(self, lengths: Tensor) -> None:
        self.mean.lerp_(lengths.mean().to(self.mean), self.momentum)
        if len(lengths) > 1:
            self.std.lerp_(lengths.std().to(self.std), self.momentum)


def adapted_cosine(cosine: Tensor, margin: float, *, quality: Tensor) -> Tensor:
    """cos(theta - m z) - (m z + m) of cos(theta).

    Args:
        cosine: (N,) cos(theta).
        margin: m.
        quality: (N,) z in [-1, 1].
    """
    turned = (angle(cosine) - margin * quality).clamp(0, math.pi)
    return turned.cos() - (margin * quality + margin)
