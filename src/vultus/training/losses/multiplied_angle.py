"""The multiplied angle of L-Softmax and A-Softmax, and how both ease into it.

    psi(theta) = (-1)^k cos(m theta) - 2 k,    k pi / m <= theta <= (k + 1) pi / m

falls from 1 to 1 - 2m over [0, pi], without a step. cos(m theta) is the Chebyshev polynomial
T_m(cos(theta)), so no angle is ever computed; k is counted from the cosine, never exceeds m - 1, and has no
gradient.

Training from scratch under psi alone does not converge. Both papers start near the plain softmax:

    f = (lambda cos(theta) + psi(theta)) / (1 + lambda),    lambda = max(5, 1500 / (1 + 0.1 step))

with the figures of the authors' public SphereFace training.

Liu, Wen, Yu, Yang: Large-margin softmax loss for convolutional neural networks. ICML 2016, section 4 and 5.
Liu, Wen, Yu, Li, Raj, Song: SphereFace. CVPR 2017.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vultus.errors import InputError


def psi(cosine: Tensor, factor: int) -> Tensor:
    """(-1)^k cos(m theta) - 2k of cos(theta); any shape.

    Args:
        cosine: cos(theta).
        factor: m, at least 1.
    """
    bounds = [math.cos(part * math.pi / factor) for part in range(1, factor)]
    k = (cosine.detach()[..., None] < cosine.new_tensor(bounds)).sum(-1)  # 0..m - 1
    return (1 - 2 * (k % 2)) * chebyshev(cosine, factor) - 2 * k


def chebyshev(cosine: Tensor, factor: int) -> Tensor:
    """cos(m theta) of cos(theta), by T_n+1 = 2 c T_n - T_n-1; any shape."""
    before, value = torch.ones_like(cosine), cosine
    for _ in range(factor - 1):
        before, value = value, 2 * cosine * value - before
    return value


def check_factor(factor: int) -> None:
    """Refuse a factor for which psi is not defined.

    Raises:
        InputError: it is not a whole number from 1.
    """
    if factor != int(factor) or factor < 1:
        raise InputError(f"factor must be a whole number from 1, got {factor!r}")


@dataclass(frozen=True, slots=True)
class Annealing:
    """How the share of the plain cosine falls: lambda = max(floor, start / (1 + rate * step)).

    Attributes:
        start: lambda at step 0.
        rate: how fast it falls.
        floor: where it stays.
    """

    start: float = 1500.0
    rate: float = 0.1
    floor: float = 5.0

    def share(self, step: Tensor) -> Tensor:
        """The lambda of a step."""
        return (self.start / (1 + self.rate * step)).clamp(min=self.floor)


class MultipliedAngle(nn.Module):
    """f(theta), which counts the training steps for lambda.

    Args:
        factor: m, a whole number from 1.
        annealing: None is psi alone, lambda = 0.

    Attributes:
        step: how many batches were seen in training; part of the state, so that a resumed run goes on.

    Raises:
        InputError: the factor is not a whole number from 1.
    """

    step: Tensor

    def __init__(self, factor: int, annealing: Annealing | None) -> None:
        super().__init__()
        check_factor(factor)
        self.factor = factor
        self.annealing = annealing
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, cosine: Tensor) -> Tensor:
        """f(theta) of cos(theta), any shape; in training, this counts as one step."""
        margined = psi(cosine, self.factor)
        if self.annealing is None:
            return margined
        share = self.annealing.share(self.step).to(cosine.dtype)
        if self.training:
            self.step += 1
        return (share * cosine + margined) / (1 + share)
