"""Quantisation pretended in PyTorch, so that a network can learn to live with it (QAT).

Each convolution and linear layer gets the numbers that int8 would leave it, in float32:

    weights      fq(W gamma / sigma) / (gamma / sigma)      a scale for each channel, symmetric, -127 .. 127
    activations  fq(x), 0 .. 255                            a range for each layer, a moving average

W gamma / sigma is the weight that the export will have folded the batch norm into: that is what will be
quantised, so that is what is rounded here; the norm behind then gives gamma / sigma back. Norms must stay in
evaluation mode. The gradient passes the rounding as if it were not there, and is 0 where a value is clipped.

Jacob et al.: Quantization and training of neural networks for efficient integer-arithmetic-only inference.
CVPR 2018. https://arxiv.org/abs/1712.05877
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vultus.networks.onnx_weights import convolutions_in_order

WEIGHT_LEVELS: Final = 127
ACTIVATION_LEVELS: Final = 255
MOMENTUM: Final = 0.05
TINY: Final = 1e-12
RANGE: Final = "input_range"
ORIGINAL: Final = "parametrizations.weight.original"


class FakeWeight(nn.Module):
    """Rounds a weight to what int8 leaves of it, once the norm behind it is folded in.

    Args:
        norm: the batch norm right behind the layer, if any.
    """

    def __init__(self, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self._norm = (norm,)  # in a tuple, so that it is not this module's child too

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight, of the same shape."""
        fold = self._fold(weight).view(-1, *[1] * (weight.ndim - 1))
        folded = weight * fold
        scale = folded.detach().flatten(1).abs().amax(1).clamp_min(TINY) / WEIGHT_LEVELS
        zero = torch.zeros_like(scale, dtype=torch.int32)
        rounded = torch.fake_quantize_per_channel_affine(
            folded, scale, zero, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS
        )
        return rounded / fold

    def _fold(self, weight: Tensor) -> Tensor:
        (norm,) = self._norm
        if norm is None or norm.running_var is None:
            return torch.ones(len(weight), device=weight.device)
        factor = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        return torch.where(factor.abs() > TINY, factor, 1.0)


class FakeActivation(nn.Module):
    """Rounds a layer's input to 256 levels between the least and the greatest value that it usually has."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """The rounded values; until a range is known, the values."""
        if self.training:
            self._look(values.detach())
        if not self.high > self.low:
            return values
        scale = (self.high - self.low) / ACTIVATION_LEVELS
        zero = torch.round(-self.low / scale).clamp(0, ACTIVATION_LEVELS).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, ACTIVATION_LEVELS)

    def _look(self, values: Tensor) -> None:
        low, high = values.amin().clamp_max(0), values.amax().clamp_min(0)  # zero is always a level
        share = MOMENTUM if self.high > self.low else 1.0
        self.low.lerp_(low, share)
        self.high.lerp_(high, share)


def pretend_int8(network: nn.Module, example: Tensor) -> None:
    """Let a network compute as its int8 form will, and learn so.

    Args:
        network: trained; its batch norms must stay in evaluation mode from now on.
        example: an input that it takes: computed once, to see which norm follows which convolution.
    """
    norms: dict[nn.Module, nn.BatchNorm2d | None] = dict(convolutions_in_order(network, example))
    for layer in [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]:
        parametrize.register_parametrization(layer, "weight", FakeWeight(norms.get(layer)))
        layer.register_module(RANGE, FakeActivation())
        layer.register_forward_pre_hook(_round_input)


def _round_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    rounded: Tensor = layer.get_submodule(RANGE)(inputs[0])
    return (rounded, *inputs[1:])


def plain_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict of the network without the pretence: what `load_state` and the export take."""
    return {key.replace(ORIGINAL, "weight"): value for key, value in state.items() if f".{RANGE}." not in key}
