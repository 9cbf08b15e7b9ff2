"""IResNet: the residual network of ArcFace, from 18 to 200 layers.

What sets it apart from an ImageNet ResNet:

    stem      one 3 x 3 convolution at stride 1: 112 x 112 faces reach the end at 7 x 7
    block     y = shortcut(x) + bn3(conv2(prelu(bn2(conv1(bn1(x)))))), the stride in conv2; the shortcut
              is the identity, or a 1 x 1 convolution with batch norm; nothing after the sum
    output    batch norm, dropout, fully connected over all 7 x 7 positions, batch norm ("option E")

The weight of the last batch norm is frozen at 1 and only its bias learns, as in the public training code: the
loss normalises the vector anyway. `forward` answers that vector before it is normalised.

Layout and state-dict keys are those of insightface's arcface_torch, so that its checkpoints load strictly.
The squeeze-and-excitation form adds `se` to each block and changes no other key. The paper gives no
initialisation; as in that code, convolutions are drawn from N(0, 0.1^2), and the rest is PyTorch's default.

Deng, Guo, Xue, Zafeiriou: ArcFace. CVPR 2019. https://arxiv.org/abs/1801.07698
Hu, Shen, Sun: Squeeze-and-excitation networks. CVPR 2018. https://arxiv.org/abs/1709.01507
"""

from collections.abc import Mapping
from functools import partial
from math import ceil

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import check_crop_size, widen
from vultus.networks.variant import Published, Variant

BLOCK_COUNTS: Mapping[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    100: (3, 13, 30, 3),
    200: (6, 26, 60, 6),
}
TOTAL_STRIDE = 16
LAST_CHANNELS = 512


class IResNet(nn.Module):
    """Aligned faces to un-normalised embeddings.

    Expects RGB scaled as (x - 127.5) / 127.5. All parameters learn but `features.weight`, which stays 1.

    Args:
        depth: 18, 34, 50, 100 or 200.
        embedding_size: length of the output.
        dropout: share of the last map that is dropped in training; the paper has 0.4.
        has_se: whether each block weighs its channels by squeeze-and-excitation.
        size_hw: height and width of the crops: the fully connected layer sees every position of the last map.

    Raises:
        InputError: an unknown depth.
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        embedding_size: int = 512,
        dropout: float = 0.4,
        has_se: bool = False,
        size_hw: tuple[int, int] = (112, 112),
    ) -> None:
        super().__init__()
        if depth not in BLOCK_COUNTS:
            raise InputError(f"depth must be one of {', '.join(map(str, BLOCK_COUNTS))}, got {depth}")
        counts = BLOCK_COUNTS[depth]
        self._size_hw = size_hw
        positions = ceil(size_hw[0] / TOTAL_STRIDE) * ceil(size_hw[1] / TOTAL_STRIDE)
        self.conv1 = _conv3x3(3, 64)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        self.layer1 = _stage(64, 64, counts[0], has_se=has_se)
        self.layer2 = _stage(64, 128, counts[1], has_se=has_se)
        self.layer3 = _stage(128, 256, counts[2], has_se=has_se)
        self.layer4 = _stage(256, LAST_CHANNELS, counts[3], has_se=has_se)
        self.bn2 = nn.BatchNorm2d(LAST_CHANNELS)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(LAST_CHANNELS * positions, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)
        self.features.weight.requires_grad = False
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) crops to (N, embedding_size), not normalised.

        Raises:
            ShapeError: crops of another size than the network was built for.
        """
        check_crop_size(images, self._size_hw)
        maps = self.prelu(self.bn1(self.conv1(images)))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        vector = self.dropout(self.bn2(maps).flatten(1))
        feature: Tensor = self.features(widen(self.fc(vector)))
        return feature


class ResidualBlock(nn.Module):
    """Batch norm first, PReLU in the middle, the stride in the second convolution."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, has_se: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = _conv3x3(in_channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU(channels)
        self.conv2 = _conv3x3(channels, channels, stride=stride)
        self.bn3 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels) if has_se else None
        self.downsample = _downsample(in_channels, channels, stride) if stride != 1 else None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        residual = self.prelu(self.bn2(self.conv1(self.bn1(maps))))
        residual = self.bn3(self.conv2(residual))
        if self.se is not None:
            residual = self.se(residual)
        summed: Tensor = shortcut + residual
        return summed


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what the whole map shows: x * sigmoid(fc2(relu(fc1(mean(x)))))."""

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        squeezed = maps.mean(dim=(2, 3), keepdim=True)
        return maps * torch.sigmoid(self.fc2(torch.relu(self.fc1(squeezed))))


def _stage(in_channels: int, channels: int, count: int, *, has_se: bool) -> nn.Sequential:
    """`count` blocks, the first of which halves the map."""
    first = ResidualBlock(in_channels, channels, stride=2, has_se=has_se)
    rest = (ResidualBlock(channels, channels, stride=1, has_se=has_se) for _ in range(count - 1))
    return nn.Sequential(first, *rest)


def _downsample(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


def _conv3x3(in_channels: int, channels: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.1)
        if module.bias is not None:  # squeeze-and-excitation
            nn.init.zeros_(module.bias)


_SOURCE = "insightface arcface_torch at 112 x 112 (parameters; FLOPs of its README, one per multiply-add)"
_PUBLISHED: Mapping[int, Published] = {
    18: Published(24.02, 2.6, _SOURCE),
    34: Published(34.14, None, _SOURCE),
    50: Published(43.59, 6.3, _SOURCE),
    100: Published(65.15, 12.1, _SOURCE),
    200: Published(None, 23.5, _SOURCE),
}

VARIANTS: Mapping[str, Variant] = {
    f"iresnet{depth}": Variant(
        partial(IResNet, depth), (112, 112), embedding_size=512, published=_PUBLISHED[depth]
    )
    for depth in BLOCK_COUNTS
} | {
    f"iresnet{depth}-se": Variant(partial(IResNet, depth, has_se=True), (112, 112), embedding_size=512)
    for depth in BLOCK_COUNTS
}
