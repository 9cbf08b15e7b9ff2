"""MobileNetV1: a trunk of depthwise separable convolutions, at any width.

A k x k convolution from M to N channels on an F x F map costs k^2 M N F^2 multiply-adds. Filtering each
channel by itself (depthwise, k^2 M F^2) and then mixing the channels (pointwise, M N F^2) costs 1/N + 1/k^2
of that: 8 to 9 times less for k = 3 (section 3.1). The width multiplier a scales M and N alike, so cost falls
by about a^2 (section 3.3).

The layers stand in three stages that end at strides 8, 16 and 32, for detectors that need a feature pyramid;
the keys are those of the public RetinaFace weights (which have width 0.25 and LeakyReLU).
Differs from the paper: the activation is a parameter (the paper's is ReLU). The paper does not give an
initialisation; He's normal one is used, which suits ReLU.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam: MobileNets. 2017. https://arxiv.org/abs/1704.04861
"""

from functools import partial

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.blocks import Activation, conv_bn_act, init_he_normal
from vultus.networks.variant import Published, Variant

FIRST_CHANNELS = 32
# Output channels and stride of every depthwise separable block at width 1, by stage (table 1).
STAGES = (
    ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)),
    ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    ((1024, 2), (1024, 1)),
)


class MobileNetV1(nn.Module):
    """Images to pooled features (or class logits), and to a pyramid of three feature maps.

    Any input size works: stage outputs are ceil(H / 8) x ceil(W / 8), then 16, then 32.

    Args:
        width: the width multiplier; 1 is the paper's full network.
        activation: after every convolution.
        class_count: if given, a linear layer turns the pooled features into this many logits.

    Attributes:
        pyramid_channels: channels of the three maps that `pyramid` gives.

    Raises:
        InputError: the width is not above 0.
    """

    def __init__(
        self, width: float = 1.0, *, activation: Activation = "relu", class_count: int | None = None
    ) -> None:
        super().__init__()
        if not width > 0:
            raise InputError(f"width must be above 0, got {width}; the paper uses 0.25, 0.5, 0.75 and 1")
        channels = _scaled(FIRST_CHANNELS, width)
        stages = []
        for number, stage in enumerate(STAGES):
            blocks = [conv_bn_act(3, channels, stride=2, activation=activation)] if number == 0 else []
            for out_channels, stride in stage:
                blocks.append(
                    depthwise_separable(
                        channels, _scaled(out_channels, width), stride=stride, activation=activation
                    )
                )
                channels = _scaled(out_channels, width)
            stages.append(nn.Sequential(*blocks))
        self.stage1, self.stage2, self.stage3 = stages
        self.pyramid_channels = tuple(_scaled(stage[-1][0], width) for stage in STAGES)
        self.fc = nn.Identity() if class_count is None else nn.Linear(channels, class_count)
        init_he_normal(self)

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H / s, W / s) feature maps at strides s of 8, 16 and 32 of (N, 3, H, W) images."""
        stride_8 = self.stage1(images)
        stride_16 = self.stage2(stride_8)
        return stride_8, stride_16, self.stage3(stride_16)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C) averages of the last feature map, or (N, class_count) logits, of (N, 3, H, W) images."""
        logits: Tensor = self.fc(torch.mean(self.pyramid(images)[-1], dim=(2, 3)))
        return logits


def depthwise_separable(
    in_channels: int, out_channels: int, *, stride: int, activation: Activation
) -> nn.Sequential:
    """A 3 x 3 filter per channel, then a 1 x 1 mix of all, each with batch norm and activation (figure 3)."""
    depthwise = conv_bn_act(
        in_channels, in_channels, stride=stride, groups=in_channels, activation=activation
    )
    pointwise = conv_bn_act(in_channels, out_channels, kernel=1, activation=activation)
    return nn.Sequential(*depthwise, *pointwise)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _variant(width: float, *, params_m: float, gflops: float) -> Variant:
    published = Published(params_m, gflops, "paper, table 6 (ImageNet classifier with 1,000 classes)")
    return Variant(
        partial(MobileNetV1, width, class_count=1000),
        (224, 224),
        published=published,
        note="the paper rounds parameters to 0.1 M",
    )


VARIANTS: dict[str, Variant] = {
    "mobilenet-v1-x1": _variant(1.0, params_m=4.2, gflops=0.569),
    "mobilenet-v1-x0.75": _variant(0.75, params_m=2.6, gflops=0.325),
    "mobilenet-v1-x0.5": _variant(0.5, params_m=1.3, gflops=0.149),
    "mobilenet-v1-x0.25": _variant(0.25, params_m=0.5, gflops=0.041),
}
