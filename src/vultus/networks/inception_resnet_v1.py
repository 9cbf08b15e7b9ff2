"""Inception-ResNet-V1, the trunk of the FaceNet weights that everybody uses.

Inception blocks (parallel branches of several kernel sizes, concatenated) learn a residual:

    y = relu(x + scale * conv1x1(concat(branches(x))))

where `scale` (0.17, 0.10, 0.20 from the first stage to the last) damps it; without that, wide Inception
networks die early in training (section 3.3). At 160 x 160 the maps are 77, 38, 17, 8 and 3 pixels wide.

Layout and state-dict keys are those of facenet-pytorch's port of the TensorFlow FaceNet weights, so that
these weights load strictly.
Differs from the paper, as these weights do: 160 x 160 input instead of 299 x 299; a smaller stem; after the
pooling and the dropout, a bottleneck (linear without bias, then batch norm) makes the embedding. The paper
gives no initialisation; Glorot's uniform one is used, as in the TensorFlow code that made the weights.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of residual connections on
learning. AAAI 2017. https://arxiv.org/abs/1602.07261
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from vultus.errors import ShapeError, WeightsError
from vultus.networks.embedding import Feature, widen
from vultus.networks.variant import Published, Variant

TRUNK_CHANNELS = 1792
BATCH_NORM_EPS = 1e-3  # TensorFlow's default: the weights were trained with it
MIN_SIDE_PX = 75  # one pixel less, and the last stage has nothing to look at


class InceptionResNetV1(nn.Module):
    """Images to unit embeddings, or to class logits.

    Expects RGB scaled as (x - 127.5) / 128. `forward` ends in FaceNet's L2 layer, as the public class does;
    the raw numbers that a softmax, a centre loss or a magnitude term needs come from `forward_feature`.

    Args:
        embedding_size: length of the embedding; the public weights have 512.
        class_count: if given, a linear layer on the embedding before it is normalised gives `forward` logits
            (a softmax over unit vectors could not converge).
        dropout: share of the pooled features that is dropped in training.
    """

    def __init__(
        self, *, embedding_size: int = 512, class_count: int | None = None, dropout: float = 0.6
    ) -> None:
        super().__init__()
        stages = _stages()
        self._stage_names = tuple(stages)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.avgpool_1a = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(TRUNK_CHANNELS, embedding_size, bias=False)
        self.last_bn = nn.BatchNorm1d(embedding_size, eps=BATCH_NORM_EPS)
        self.logits = None if class_count is None else nn.Linear(embedding_size, class_count)
        self.apply(_initialise)

    @classmethod
    def from_public(cls, state: Mapping[str, Tensor], *, keeps_classifier: bool = False) -> Self:
        """The network with public weights.

        Args:
            state: a facenet-pytorch state dict; the published files carry the classifier of the people
                that they were trained on.
            keeps_classifier: whether `forward` shall answer that classifier's logits instead of embeddings.

        Raises:
            WeightsError: it is no such state dict.
        """
        wanted = {name: value for name, value in state.items() if keeps_classifier or "logits." not in name}
        try:
            network = cls(
                embedding_size=len(wanted["last_linear.weight"]),
                class_count=len(wanted["logits.weight"]) if keeps_classifier else None,
            )
            network.load_state_dict(wanted)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"these are no Inception-ResNet-V1 weights: {error}") from error
        return network

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images to (N, D) unit embeddings, or to (N, class_count) logits if there are classes.

        Raises:
            ShapeError: the images are smaller than 75 x 75.
        """
        feature = self.forward_feature(images)
        return feature.embedding if self.logits is None else self.logits(feature.raw)

    def forward_feature(self, images: Tensor) -> Feature:
        """(N, 3, H, W) images to (N, D) before and after the L2 layer."""
        _check_size(images)
        maps = images
        for name in self._stage_names:
            maps = self.get_submodule(name)(maps)
        pooled = self.dropout(self.avgpool_1a(maps).flatten(1))
        return Feature.of(self.last_bn(widen(self.last_linear(pooled))))


class InceptionResNetV1Trunk(nn.Sequential):
    """The convolutional part alone, with the same keys."""

    def __init__(self) -> None:
        super().__init__(_stages())
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images to (N, 1792, h, w) maps.

        Raises:
            ShapeError: the images are smaller than 75 x 75.
        """
        _check_size(images)
        maps = images
        for stage in self:
            maps = stage(maps)
        return maps


def _check_size(images: Tensor) -> None:
    """Refuse images that shrink to nothing on the way."""
    if min(images.shape[-2:]) < MIN_SIDE_PX:
        raise ShapeError(
            f"Inception-ResNet-V1 needs images of at least {MIN_SIDE_PX} x {MIN_SIDE_PX} pixels, "
            f"got {tuple(images.shape)}; its weights were trained at 160 x 160"
        )


def _stages() -> OrderedDict[str, nn.Module]:
    """The trunk in the order of its layers. The names are state-dict keys."""
    return OrderedDict(
        conv2d_1a=ConvBnRelu(3, 32, 3, stride=2),
        conv2d_2a=ConvBnRelu(32, 32, 3),
        conv2d_2b=ConvBnRelu(32, 64, 3, padding=1),
        maxpool_3a=nn.MaxPool2d(3, stride=2),
        conv2d_3b=ConvBnRelu(64, 80, 1),
        conv2d_4a=ConvBnRelu(80, 192, 3),
        conv2d_4b=ConvBnRelu(192, 256, 3, stride=2),
        repeat_1=nn.Sequential(*(_block35() for _ in range(5))),
        mixed_6a=_reduction_a(),
        repeat_2=nn.Sequential(*(_block17() for _ in range(10))),
        mixed_7a=_reduction_b(),
        repeat_3=nn.Sequential(*(_block8() for _ in range(5))),
        block8=_block8(scale=1.0, has_relu=False),
    )


class ConvBnRelu(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H', W')."""
        return torch.relu(self.bn(self.conv(maps)))


class Branches(nn.Module):
    """Several paths over the same maps, side by side along the channels: `branch0`, `branch1`, ..."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        _add_branches(self, branches)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, sum of the branches' channels, H', W')."""
        return _side_by_side(self, maps)


class ResidualBranches(nn.Module):
    """An Inception-ResNet block: relu(x + scale * conv1x1(branches(x))), without the ReLU if so asked."""

    def __init__(
        self, *branches: nn.Module, in_channels: int, channels: int, scale: float, has_relu: bool = True
    ) -> None:
        super().__init__()
        _add_branches(self, branches)
        self.conv2d = nn.Conv2d(in_channels, channels, 1)
        self._scale = scale
        self._has_relu = has_relu

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        mixed: Tensor = maps + self._scale * self.conv2d(_side_by_side(self, maps))
        return torch.relu(mixed) if self._has_relu else mixed


def _add_branches(block: nn.Module, branches: Sequence[nn.Module]) -> None:
    for i, branch in enumerate(branches):
        block.add_module(f"branch{i}", branch)  # these names are state-dict keys


def _side_by_side(block: nn.Module, maps: Tensor) -> Tensor:
    paths = [path(maps) for name, path in block.named_children() if name.startswith("branch")]
    return torch.cat(paths, dim=1)


def _block35() -> ResidualBranches:
    """17 x 17 maps of 256 channels (35 x 35 in the paper): fig. 10."""
    return ResidualBranches(
        ConvBnRelu(256, 32, 1),
        nn.Sequential(ConvBnRelu(256, 32, 1), ConvBnRelu(32, 32, 3, padding=1)),
        nn.Sequential(
            ConvBnRelu(256, 32, 1), ConvBnRelu(32, 32, 3, padding=1), ConvBnRelu(32, 32, 3, padding=1)
        ),
        in_channels=96,
        channels=256,
        scale=0.17,
    )


def _block17() -> ResidualBranches:
    """8 x 8 maps of 896 channels (17 x 17 in the paper), 1x7 and 7x1 instead of 7x7: fig. 11."""
    return ResidualBranches(
        ConvBnRelu(896, 128, 1),
        nn.Sequential(
            ConvBnRelu(896, 128, 1),
            ConvBnRelu(128, 128, (1, 7), padding=(0, 3)),
            ConvBnRelu(128, 128, (7, 1), padding=(3, 0)),
        ),
        in_channels=256,
        channels=896,
        scale=0.10,
    )


def _block8(*, scale: float = 0.20, has_relu: bool = True) -> ResidualBranches:
    """3 x 3 maps of 1792 channels (8 x 8 in the paper): fig. 13. The last has no damping and no ReLU."""
    return ResidualBranches(
        ConvBnRelu(1792, 192, 1),
        nn.Sequential(
            ConvBnRelu(1792, 192, 1),
            ConvBnRelu(192, 192, (1, 3), padding=(0, 1)),
            ConvBnRelu(192, 192, (3, 1), padding=(1, 0)),
        ),
        in_channels=384,
        channels=1792,
        scale=scale,
        has_relu=has_relu,
    )


def _reduction_a() -> Branches:
    """Halves the map, 256 to 896 channels: fig. 7 with k, l, m, n = 192, 192, 256, 384."""
    return Branches(
        ConvBnRelu(256, 384, 3, stride=2),
        nn.Sequential(
            ConvBnRelu(256, 192, 1), ConvBnRelu(192, 192, 3, padding=1), ConvBnRelu(192, 256, 3, stride=2)
        ),
        nn.MaxPool2d(3, stride=2),
    )


def _reduction_b() -> Branches:
    """Halves the map, 896 to 1792 channels: fig. 12."""
    return Branches(
        nn.Sequential(ConvBnRelu(896, 256, 1), ConvBnRelu(256, 384, 3, stride=2)),
        nn.Sequential(ConvBnRelu(896, 256, 1), ConvBnRelu(256, 256, 3, stride=2)),
        nn.Sequential(
            ConvBnRelu(896, 256, 1), ConvBnRelu(256, 256, 3, padding=1), ConvBnRelu(256, 256, 3, stride=2)
        ),
        nn.MaxPool2d(3, stride=2),
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


VARIANTS: Mapping[str, Variant] = {
    "inception-resnet-v1": Variant(
        build=InceptionResNetV1,
        size_hw=(160, 160),
        embedding_size=512,
        pixel_std=128.0,
        published=Published(
            params_m=23.469,
            gflops=1.423,
            source="Open Model Zoo, facenet-20180408-102900 (its 2.846 GFLOPs count two per multiply-add)",
        ),
    )
}
