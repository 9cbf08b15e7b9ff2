"""Building blocks that several networks share: convolution, batch norm and activation; GDConv; He's start."""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from vultus.errors import InputError

Activation: TypeAlias = Literal["relu", "relu6", "leaky_relu", "prelu", "silu", "hardswish", "none"]

LEAKY_RELU_SLOPE = 0.1
LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda _: nn.ReLU(),
    "relu6": lambda _: nn.ReLU6(),
    "leaky_relu": lambda _: nn.LeakyReLU(LEAKY_RELU_SLOPE),
    "prelu": nn.PReLU,
    "silu": lambda _: nn.SiLU(),
    "hardswish": lambda _: nn.Hardswish(),
    "none": lambda _: nn.Identity(),
}


def activation_layer(name: Activation, channels: int) -> nn.Module:
    """A new activation layer; `none` is the identity.

    Args:
        name: which one; `leaky_relu` has slope 0.1, `prelu` learns one slope per channel, starting at 0.25.
        channels: how many channels the layer sees.

    Raises:
        InputError: no such activation.
    """
    if name not in LAYERS:
        raise InputError(f"unknown activation {name!r}; choose one of {', '.join(LAYERS)}")
    return LAYERS[name](channels)


def conv_bn_act(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Activation = "relu",
) -> nn.Sequential:
    """Convolution without bias, batch norm, activation: state-dict keys `0`, `1` and, with PReLU, `2`.

    Padded by half the kernel: a side of n pixels becomes ceil(n / stride).
    """
    convolution = StridedDepthwise if stride > 1 and groups == in_channels > 1 else nn.Conv2d
    return nn.Sequential(
        convolution(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        activation_layer(activation, out_channels),
    )


class StridedDepthwise(nn.Conv2d):
    """A depthwise convolution with a stride, in float32 while it trains under bfloat16's autocast on a CPU.

    Of its input's gradient in bfloat16 PyTorch 2.13 has no fast kernel: 60 ms for 32 maps of 96 x 56 x 56,
    where float32 takes 4.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)), of the input's type."""
        return convolve(self, maps, self.weight, self.bias)


def convolve(layer: nn.Conv2d, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A layer's convolution with these weights; in float32 where `StridedDepthwise` says why."""
    is_slow = layer.groups > 1 and layer.stride[0] > 1 and maps.device.type == "cpu"
    stride, padding, dilation, groups = layer.stride, layer.padding, layer.dilation, layer.groups
    if not (is_slow and layer.training and torch.is_autocast_enabled("cpu")):
        return nn.functional.conv2d(maps, weight, bias, stride, padding, dilation, groups)
    with torch.autocast("cpu", enabled=False):
        values = nn.functional.conv2d(maps.float(), weight, bias, stride, padding, dilation, groups)
    return values.to(maps.dtype)


class GlobalDepthwise(nn.Conv2d):
    """A map to one value: one weight per position, in every channel by itself (MobileFaceNet's GDConv).

    A depthwise convolution as large as its map, and computed as one outside training, so that exporters and
    runtimes see what they know. While it trains it is a sum of products: of the convolution's gradient
    PyTorch's CPU kernels make a tenth of a whole training step (7 x 7, 512 channels).

    Args:
        channels: of the maps.
        map_hw: their height and width.
    """

    def __init__(self, channels: int, map_hw: tuple[int, int]) -> None:
        super().__init__(channels, channels, map_hw, groups=channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        if not self.training:
            return super().forward(maps)
        return (maps * self.weight[:, 0].to(maps.dtype)).sum((2, 3), keepdim=True)


def init_he_normal(network: nn.Module) -> None:
    """Give every convolution weights from N(0, 2 / fan_out) and every batch norm the identity.

    fan_out counts the outputs that one input value reaches: with groups, only those of its own group.
    (PyTorch's function forgets the groups: the variance of depthwise weights comes out C times too small.)

    He, Zhang, Ren, Sun: Delving deep into rectifiers. ICCV 2015, eq. 14. https://arxiv.org/abs/1502.01852
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
