"""ResNet-18, -34 and -50: trunks of residual blocks.

    y = relu(F(x) + x)          (eq. 1; a 1 x 1 projection of x where the shape changes, option B)

F is two 3 x 3 convolutions (`BasicBlock`: 18, 34), or 1 x 1 down, 3 x 3, 1 x 1 up by four (`Bottleneck`: 50).

State-dict keys are torchvision's, so its ImageNet weights load: strictly with `class_count=1000`, and as a
trunk after dropping `fc.weight` and `fc.bias`.
Differs from the paper, as these weights do: a bottleneck halves the map in its 3 x 3 convolution, not in the
first 1 x 1. Initialisation: He's normal one, as in the paper.

He, Zhang, Ren, Sun: Deep residual learning for image recognition. CVPR 2016. https://arxiv.org/abs/1512.03385
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.blocks import init_he_normal
from vultus.networks.variant import Published, Variant

STAGE_CHANNELS = (64, 128, 256, 512)  # of the 3 x 3 convolutions


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and the shortcut around them."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H / stride, W / stride) of (N, in_channels, H, W)."""
        residual = F.relu(self.bn1(self.conv1(features)))
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual + self.downsample(features))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions and the shortcut around them."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(in_channels, out_channels, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """(N, 4 channels, H / stride, W / stride) of (N, in_channels, H, W)."""
        residual = F.relu(self.bn1(self.conv1(features)))
        residual = F.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return F.relu(residual + self.downsample(features))


# Which block, and how many of it per stage, by depth (table 1).
DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """Images to pooled features (or class logits), and to a pyramid of three feature maps.

    Any input size works: the pyramid's maps are ceil(H / 8) x ceil(W / 8), then 16, then 32.

    Args:
        depth: 18, 34 or 50 layers.
        class_count: if given, a linear layer turns the pooled features into this many logits.

    Attributes:
        pyramid_channels: channels of the three maps that `pyramid` gives.

    Raises:
        InputError: another depth.
    """

    def __init__(self, depth: int, *, class_count: int | None = None) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise InputError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}")
        block, counts = DEPTHS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages: list[nn.Sequential] = []
        in_channels = 64
        for channels, count in zip(STAGE_CHANNELS, counts, strict=True):
            blocks = [block(in_channels, channels, stride=2 if stages else 1)]
            in_channels = channels * block.expansion
            blocks += [block(in_channels, channels, stride=1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.pyramid_channels = tuple(channels * block.expansion for channels in STAGE_CHANNELS[1:])
        self.fc = nn.Identity() if class_count is None else nn.Linear(in_channels, class_count)
        init_he_normal(self)

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H / s, W / s) feature maps at strides s of 8, 16 and 32 of (N, 3, H, W) images."""
        stem = self.maxpool(F.relu(self.bn1(self.conv1(images))))
        stride_8 = self.layer2(self.layer1(stem))
        stride_16 = self.layer3(stride_8)
        return stride_8, stride_16, self.layer4(stride_16)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C) averages of the last feature map, or (N, class_count) logits, of (N, 3, H, W) images."""
        logits: Tensor = self.fc(torch.mean(self.pyramid(images)[-1], dim=(2, 3)))
        return logits


def _shortcut(in_channels: int, out_channels: int, *, stride: int) -> nn.Module:
    """The identity, or a projection where the shape changes."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def _variant(depth: int, *, params_m: float, gflops: float, note: str = "") -> Variant:
    published = Published(
        params_m, gflops, "paper, table 1 (multiply-adds); torchvision (parameters, 1,000 classes)"
    )
    return Variant(partial(ResNet, depth, class_count=1000), (224, 224), published=published, note=note)


VARIANTS: dict[str, Variant] = {
    "resnet-18": _variant(18, params_m=11.690, gflops=1.8),
    "resnet-34": _variant(34, params_m=21.798, gflops=3.6),
    "resnet-50": _variant(
        50, params_m=25.557, gflops=3.8, note="the stride in the 3 x 3 convolution costs 0.23 G more"
    ),
}
