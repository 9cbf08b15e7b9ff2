"""CompactResNet: a plain residual network for faces, small enough for a CPU and made for its matrix units.

    stem      3 x 3, stride 2                             112 -> 56
    stages    3 x 3, stride 2, then `blocks` residual blocks of two 3 x 3     56 -> 28 -> 14 -> 7
    head      1 x 1 to 512, global depthwise convolution, 1 x 1 to the embedding, batch norm

Depthwise convolutions, of which MobileFaceNet is built, need few multiplications but as much memory traffic
as the plain ones, so that a CPU waits. Here only the last layer is depthwise (MobileFaceNet's GDConv: the
centre of an aligned face tells more than its corners); all else is 3 x 3 convolutions on small maps, which
run near the peak of the machine. ReLU everywhere: runtimes fuse it into the convolution.

`forward` ends at the un-normalised embedding, as MobileFaceNet's. The arrangement and the widths are ours.

He, Zhang, Ren, Sun: Deep residual learning for image recognition. CVPR 2016. https://arxiv.org/abs/1512.03385
Chen, Liu, Gao, Han: MobileFaceNets. CCBR 2018. https://arxiv.org/abs/1804.07573
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil

from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.blocks import Activation, GlobalDepthwise, activation_layer, conv_bn_act, init_he_normal
from vultus.networks.embedding import check_crop_size, widen
from vultus.networks.variant import Variant

LAST_CHANNELS = 512
TOTAL_STRIDE = 16


class CompactResNet(nn.Module):
    """Aligned faces to un-normalised embeddings.

    Expects RGB scaled as (x - 127.5) / 127.5.

    Args:
        embedding_size: length of the output.
        stem_channels: of the first convolution.
        channels: of the three stages.
        blocks: residual blocks of each stage.
        activation: after batch norms and sums.
        size_hw: height and width of the crops: GDConv has one weight per position of the last map.

    Raises:
        InputError: an unknown activation, or not three stages.
    """

    def __init__(
        self,
        *,
        embedding_size: int = 128,
        stem_channels: int = 32,
        channels: Sequence[int] = (48, 96, 192),
        blocks: Sequence[int] = (2, 2, 2),
        activation: Activation = "relu",
        size_hw: tuple[int, int] = (112, 112),
    ) -> None:
        super().__init__()
        if len(channels) != 3 or len(blocks) != 3:
            raise InputError(f"channels and blocks must name three stages, got {channels} and {blocks}")
        self._size_hw = size_hw
        map_hw = (ceil(size_hw[0] / TOTAL_STRIDE), ceil(size_hw[1] / TOTAL_STRIDE))
        self.stem = conv_bn_act(3, stem_channels, stride=2, activation=activation)
        widths = (stem_channels, *channels)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    conv_bn_act(before, after, stride=2, activation=activation),
                    *(ResidualBlock(after, activation=activation) for _ in range(count)),
                )
                for before, after, count in zip(widths, widths[1:], blocks, strict=False)
            )
        )
        last = LAST_CHANNELS
        self.expand = conv_bn_act(channels[-1], last, kernel=1, activation=activation)
        self.gdconv = nn.Sequential(GlobalDepthwise(last, map_hw), nn.BatchNorm2d(last))
        self.project = nn.Conv2d(last, embedding_size, 1, bias=False)
        self.bn = nn.BatchNorm1d(embedding_size)
        init_he_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) crops to (N, embedding_size), not normalised.

        Raises:
            ShapeError: crops of another size than the network was built for.
        """
        check_crop_size(images, self._size_hw)
        maps = self.expand(self.stages(self.stem(images)))
        raw: Tensor = self.bn(widen(self.project(self.gdconv(maps)).flatten(1)))
        return raw


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and the way around them.

    Args:
        channels: before, between and after.
        activation: after the first convolution, and after the sum.
    """

    def __init__(self, channels: int, *, activation: Activation) -> None:
        super().__init__()
        self.first = conv_bn_act(channels, channels, activation=activation)
        self.second = conv_bn_act(channels, channels, activation="none")
        self.act = activation_layer(activation, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) of (N, C, H, W)."""
        return self.act(maps + self.second(self.first(maps)))  # type: ignore[no-any-return]


VARIANTS: Mapping[str, Variant] = {
    "compact-resnet": Variant(CompactResNet, (112, 112), embedding_size=128),
    "compact-resnet-slim": Variant(
        partial(CompactResNet, stem_channels=24, channels=(32, 64, 128)), (112, 112), embedding_size=128
    ),
}
