"""Batch norms that keep their statistics, each computed within the convolution before it: for fine-tuning.

    z = gamma (W * x - mu) / sigma + beta = (gamma W / sigma) * x + (beta - gamma mu / sigma)

mu and sigma stay what they are; W, gamma and beta are learnt as before. The right side scales the weights,
which are few, instead of the maps: the norm's passes over them fall away, and what is learnt from a face no
longer depends on the others of its batch. Modules keep their places and the state its keys, so that the
weights belong to the network as it is built.

Ioffe, Szegedy: Batch normalization. ICML 2015, algorithm 2. https://arxiv.org/abs/1502.03167
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.blocks import StridedDepthwise, convolve


def freeze_norms(network: nn.Module) -> None:
    """Let every batch norm keep the statistics that it has, also while the network trains.

    One that follows a convolution without bias in a Sequential is computed within it.

    Raises:
        InputError: a norm keeps no statistics.
    """
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            statistics_of(part)
    for parts in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        for convolution, norm in pairwise(parts):
            is_plain = type(convolution) in (nn.Conv2d, StridedDepthwise) and convolution.bias is None
            if is_plain and type(norm) is nn.BatchNorm2d:
                convolution.__class__ = NormedConvolution
                convolution.__dict__["norm"] = norm  # not registered: its state stands in its own place
                norm.__class__ = PassedNorm
    for part in network.modules():
        part.__class__ = FROZEN.get(type(part), type(part))


class NormedConvolution(nn.Conv2d):
    """A convolution and the frozen norm that follows it."""

    norm: nn.BatchNorm2d

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the norm's output."""
        norm = self.norm
        mean, variance = statistics_of(norm)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        weight = self.weight * scale[:, None, None, None]
        return convolve(self, maps, weight, norm.bias - mean * scale)


class PassedNorm(nn.BatchNorm2d):
    """A norm whose convolution does its work."""

    def forward(self, maps: Tensor) -> Tensor:
        """The same maps."""
        return maps


class FrozenNorm1d(nn.BatchNorm1d):
    """A norm with the statistics of evaluation, always."""

    def forward(self, values: Tensor) -> Tensor:
        """(N, C) values, normalised."""
        return _normalised(self, values)


class FrozenNorm2d(nn.BatchNorm2d):
    """A norm with the statistics of evaluation, always."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps, normalised."""
        return _normalised(self, maps)


def statistics_of(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The mean and the variance of each channel that a batch norm has learnt.

    Raises:
        InputError: it keeps none.
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise InputError("a batch norm that keeps no statistics (track_running_stats=False) cannot be frozen")
    return mean, variance


def _normalised(norm: nn.BatchNorm1d | nn.BatchNorm2d, values: Tensor) -> Tensor:
    constants = norm.running_mean, norm.running_var, norm.weight, norm.bias
    return nn.functional.batch_norm(values, *constants, training=False, eps=norm.eps)


FROZEN: Final[Mapping[type[nn.Module], type[nn.Module]]] = {
    nn.BatchNorm1d: FrozenNorm1d,
    nn.BatchNorm2d: FrozenNorm2d,
}
