"""MobileFaceNet: an embedding network of a million parameters.

MobileNetV2's inverted bottlenecks (expand by 1 x 1, filter each channel by 3 x 3, project linearly by 1 x 1,
add the input where the shape stays), and instead of average pooling a **global depthwise convolution**:

    G_m = sum_(i, j) K_(i, j, m) F_(i, j, m)        (eq. 1)

with a weight per position and channel, as the centre of an aligned face tells more than its corners, which
an average cannot know. A linear 1 x 1 convolution with batch norm makes the embedding, and `forward` ends
there: margin losses normalise the vector themselves, and some (MagFace) read its length.

Differs from the paper: the activation is a parameter. The paper's is PReLU, a slope per channel; ONNX Runtime
runs the exported PReLU 3-5 times slower than ReLU, so ReLU is what to train for deployment. The paper gives
no initialisation; He's normal one is used.

Parameters at 128-d: 1,003,136 (976,000 in convolutions, 19,584 in batch norms, 7,552 slopes). The paper's
"0.99 million" is the same network with batch norms folded into the convolutions: 993,344.

Chen, Liu, Gao, Han: MobileFaceNets: efficient CNNs for accurate real-time face verification on mobile
devices. CCBR 2018. https://arxiv.org/abs/1804.07573
"""

from collections.abc import Mapping
from functools import partial
from math import ceil
from typing import NamedTuple

from torch import Tensor, nn

from vultus.networks.blocks import Activation, GlobalDepthwise, conv_bn_act, init_he_normal
from vultus.networks.embedding import check_crop_size, widen
from vultus.networks.variant import Published, Variant


class Row(NamedTuple):
    """A line of the paper's table 1: `repeats` bottlenecks, the first of which has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int


TABLE_1 = (Row(2, 64, 5, 2), Row(4, 128, 1, 2), Row(2, 128, 6, 1), Row(4, 128, 1, 2), Row(2, 128, 2, 1))
STEM_CHANNELS = 64
LAST_CHANNELS = 512
TOTAL_STRIDE = 16


class MobileFaceNet(nn.Module):
    """Aligned faces to un-normalised embeddings.

    Expects RGB scaled as (x - 127.5) / 128.

    Args:
        embedding_size: length of the output; the paper has 128.
        activation: what follows the batch norms; the linear layers have none.
        size_hw: height and width of the crops: GDConv has one weight per position of the last map.

    Raises:
        InputError: an unknown activation.
    """

    def __init__(
        self,
        *,
        embedding_size: int = 128,
        activation: Activation = "prelu",
        size_hw: tuple[int, int] = (112, 112),
    ) -> None:
        super().__init__()
        self._size_hw = size_hw
        map_hw = (ceil(size_hw[0] / TOTAL_STRIDE), ceil(size_hw[1] / TOTAL_STRIDE))
        stem, last = STEM_CHANNELS, LAST_CHANNELS
        self.stem = nn.Sequential(
            conv_bn_act(3, stem, stride=2, activation=activation),
            conv_bn_act(stem, stem, groups=stem, activation=activation),
        )
        self.bottlenecks = nn.Sequential(*_bottlenecks(activation))
        self.expand = conv_bn_act(TABLE_1[-1].channels, last, kernel=1, activation=activation)
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
        maps = self.expand(self.bottlenecks(self.stem(images)))
        raw: Tensor = self.bn(widen(self.project(self.gdconv(maps)).flatten(1)))
        return raw


class Bottleneck(nn.Module):
    """Expand, filter each channel, project linearly; add the input if the shape stays.

    Args:
        in_channels: channels before.
        channels: channels after.
        expansion: the filter works on `expansion * in_channels`.
        stride: 1 or 2.
        activation: after the first two convolutions.
    """

    def __init__(
        self, in_channels: int, channels: int, *, expansion: int, stride: int, activation: Activation
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.layers = nn.Sequential(
            conv_bn_act(in_channels, inner, kernel=1, activation=activation),
            conv_bn_act(inner, inner, stride=stride, groups=inner, activation=activation),
            conv_bn_act(inner, channels, kernel=1, activation="none"),
        )
        self._is_residual = stride == 1 and in_channels == channels

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        projected: Tensor = self.layers(maps)
        return maps + projected if self._is_residual else projected


def _bottlenecks(activation: Activation) -> list[Bottleneck]:
    """The rows of table 1, unrolled."""
    blocks: list[Bottleneck] = []
    in_channels = STEM_CHANNELS
    for expansion, channels, repeats, first_stride in TABLE_1:
        for stride in (first_stride, *[1] * (repeats - 1)):
            blocks.append(
                Bottleneck(in_channels, channels, expansion=expansion, stride=stride, activation=activation)
            )
            in_channels = channels
    return blocks


_PAPER = Published(
    params_m=0.993,  # the paper says 0.99
    gflops=0.2245,
    source="Open Model Zoo, face-recognition-mobilefacenet-arcface (0.449 GFLOPs: two per multiply-add)",
)
_FOLDED = "the published count has batch norms folded into the convolutions; so counted, ours is 0.993 too"

VARIANTS: Mapping[str, Variant] = {
    "mobilefacenet": Variant(
        MobileFaceNet, (112, 112), embedding_size=128, pixel_std=128.0, published=_PAPER, note=_FOLDED
    ),
    "mobilefacenet-512": Variant(
        partial(MobileFaceNet, embedding_size=512), (112, 112), embedding_size=512, pixel_std=128.0
    ),
    "mobilefacenet-relu": Variant(
        partial(MobileFaceNet, activation="relu"), (112, 112), embedding_size=128, pixel_std=128.0
    ),
    "mobilefacenet-relu6": Variant(
        partial(MobileFaceNet, activation="relu6"), (112, 112), embedding_size=128, pixel_std=128.0
    ),
    "mobilefacenet-leaky-relu": Variant(
        partial(MobileFaceNet, activation="leaky_relu"), (112, 112), embedding_size=128, pixel_std=128.0
    ),
    "mobilefacenet-hardswish": Variant(
        partial(MobileFaceNet, activation="hardswish"), (112, 112), embedding_size=128, pixel_std=128.0
    ),
}
