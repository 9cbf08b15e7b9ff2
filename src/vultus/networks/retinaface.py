"""RetinaFace: a single-stage face detector with five landmarks, after the feature pyramid.

    C3, C4, C5 = trunk(image)                                       at strides 8, 16, 32
    P5 = lateral(C5)                                                FPN: one width, and what the coarse
    P4 = merge(lateral(C4) + up(P5))                                maps know is carried down
    P3 = merge(lateral(C3) + up(P4))
    S  = relu(concat(3x3, 5x5, 7x7 of P))                           SSH context: the large kernels are
                                                                    chains of 3x3 that share the first link
    2A class logits, 4A box deltas, 10A landmark deltas = 1x1(S)    per level, with A anchors per cell

The network ends at raw outputs: `vultus.geometry.anchors` has the anchors and the meaning of the deltas.

Layout and state-dict keys are those of the public PyTorch port whose mobilenet0.25 weights everybody uses, so
that they load strictly. Differs from the paper, as these weights do: P3 to P5 instead of P2 to P6, no
deformable convolutions, no dense 3-D branch. Checkpoints of one layout differ in activation, anchor sides and
channel order *with identical keys*, and the wrong choice raises nothing: all three stand in
`RetinaFaceConfig`. The paper does not give an initialisation: He's normal one for trunk, FPN and SSH;
N(0, 0.01^2) for the heads, as in RetinaNet.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641
Najibi, Samangouei, Chellappa, Davis: SSH. ICCV 2017. https://arxiv.org/abs/1708.03979
Lin et al.: Feature pyramid networks. CVPR 2017. https://arxiv.org/abs/1612.03144
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.geometry.anchors import RETINAFACE_MIN_SIZES
from vultus.networks.blocks import Activation, conv_bn_act, init_he_normal
from vultus.networks.mobilenet_v1 import MobileNetV1
from vultus.networks.resnet import ResNet
from vultus.networks.state import load_state
from vultus.networks.variant import Published, Variant

Trunk: TypeAlias = MobileNetV1 | ResNet
TRUNKS: dict[str, Callable[[Activation], Trunk]] = {
    "mobilenet0.25": lambda activation: MobileNetV1(0.25, activation=activation),
    "mobilenet0.5": lambda activation: MobileNetV1(0.5, activation=activation),
    "mobilenet1": lambda activation: MobileNetV1(1.0, activation=activation),
    "resnet18": lambda _: ResNet(18),
    "resnet34": lambda _: ResNet(34),
    "resnet50": lambda _: ResNet(50),
}


@dataclass(frozen=True, slots=True)
class RetinaFaceConfig:
    """What a RetinaFace checkpoint does not say about itself. The defaults are the public mobilenet0.25's.

    Attributes:
        backbone: the trunk: mobilenet0.25, mobilenet0.5, mobilenet1, resnet18, resnet34 or resnet50.
        pyramid_channels: width of P3, P4, P5 and of the context modules; a multiple of 4.
        activation: in FPN, SSH and a MobileNet trunk (a ResNet keeps its ReLU); `leaky_relu` has slope 0.1.
        min_sizes: anchor sides in pixels, for strides 8, 16 and 32; their number makes A.
        channel_order: of the colours that the network was trained on.
        channel_means: subtracted from the colours (0..255), in `channel_order`.

    Raises:
        InputError: an unknown backbone or channel order, a bad pyramid width, or not three levels of anchors.
    """

    backbone: str = "mobilenet0.25"
    pyramid_channels: int = 64
    activation: Activation = "leaky_relu"
    min_sizes: tuple[tuple[int, ...], ...] = RETINAFACE_MIN_SIZES
    channel_order: Literal["BGR", "RGB"] = "BGR"
    channel_means: tuple[float, float, float] = (104.0, 117.0, 123.0)

    def __post_init__(self) -> None:
        if self.backbone not in TRUNKS:
            raise InputError(f"unknown backbone {self.backbone!r}; choose one of {', '.join(TRUNKS)}")
        if self.pyramid_channels < 4 or self.pyramid_channels % 4:
            raise InputError(f"pyramid_channels must be a multiple of 4, got {self.pyramid_channels}")
        if len(self.min_sizes) != 3 or not all(self.min_sizes):
            raise InputError(f"min_sizes must give anchors for three strides, got {self.min_sizes}")
        if self.channel_order not in ("BGR", "RGB"):
            raise InputError(f"channel_order must be BGR or RGB, got {self.channel_order!r}")


# Pyramid widths beyond the public 64 (mobilenet0.25) and 256 (resnet50) are ours.
CONFIGS: dict[str, RetinaFaceConfig] = {
    "mobilenet0.25": RetinaFaceConfig(),
    "mobilenet0.5": RetinaFaceConfig("mobilenet0.5"),
    "mobilenet1": RetinaFaceConfig("mobilenet1", 128, "relu"),
    "resnet18": RetinaFaceConfig("resnet18", 128, "relu"),
    "resnet34": RetinaFaceConfig("resnet34", 128, "relu"),
    "resnet50": RetinaFaceConfig("resnet50", 256, "relu"),
}


class Features(NamedTuple):
    """The maps of a RetinaFace at strides 8, 16, 32: (N, C, ceil(H / stride), ceil(W / stride)) each.

    Attributes:
        trunk: C3, C4, C5.
        pyramid: P3, P4, P5.
        contexts: what the heads see.
    """

    trunk: tuple[Tensor, ...]
    pyramid: tuple[Tensor, ...]
    contexts: tuple[Tensor, ...]


class FeaturePyramid(nn.Module):
    """Brings three maps to one width and carries what the coarse ones know down to the fine ones."""

    def __init__(self, in_channels: tuple[int, ...], channels: int, *, activation: Activation) -> None:
        super().__init__()
        lateral = partial(conv_bn_act, out_channels=channels, kernel=1, activation=activation)
        self.output1, self.output2, self.output3 = (lateral(width) for width in in_channels)
        self.merge1 = conv_bn_act(channels, channels, activation=activation)
        self.merge2 = conv_bn_act(channels, channels, activation=activation)

    def forward(self, c3: Tensor, c4: Tensor, c5: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """P3, P4, P5 of C3, C4, C5: the same sizes, one width."""
        p5 = self.output3(c5)
        p4 = self.output2(c4)
        p4 = self.merge2(p4 + F.interpolate(p5, size=p4.shape[-2:]))
        p3 = self.output1(c3)
        p3 = self.merge1(p3 + F.interpolate(p4, size=p3.shape[-2:]))
        return p3, p4, p5


class ContextModule(nn.Module):
    """SSH's context: half of the channels see 3 x 3, a quarter 5 x 5, a quarter 7 x 7 cells."""

    def __init__(self, channels: int, *, activation: Activation) -> None:
        super().__init__()
        quarter = channels // 4
        self.conv3X3 = conv_bn_act(channels, channels // 2, activation="none")
        self.conv5X5_1 = conv_bn_act(channels, quarter, activation=activation)
        self.conv5X5_2 = conv_bn_act(quarter, quarter, activation="none")
        self.conv7X7_2 = conv_bn_act(quarter, quarter, activation=activation)
        self.conv7x7_3 = conv_bn_act(quarter, quarter, activation="none")

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) of (N, C, H, W)."""
        shared = self.conv5X5_1(features)
        context_5 = self.conv5X5_2(shared)
        context_7 = self.conv7x7_3(self.conv7X7_2(shared))
        return F.relu(torch.cat([self.conv3X3(features), context_5, context_7], dim=1))


class Head(nn.Module):
    """A 1 x 1 convolution that predicts some values for each anchor of each cell."""

    def __init__(self, channels: int, anchor_count: int, *, value_count: int) -> None:
        super().__init__()
        self.value_count = value_count
        self.conv1x1 = nn.Conv2d(channels, anchor_count * value_count, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, H * W * A, value_count) of (N, C, H, W): by row, column, anchor."""
        values: Tensor = self.conv1x1(features).permute(0, 2, 3, 1)  # (N, H, W, A * value_count)
        return values.reshape(values.shape[0], -1, self.value_count)


class RetinaFaceNet(nn.Module):
    """Images to raw class logits, box deltas and landmark deltas of every anchor.

    Any input size works: a map of stride s has ceil(H / s) x ceil(W / s) cells, as `square_anchors` counts.

    Args:
        config: trunk, widths, activation, anchors and colours.
    """

    def __init__(self, config: RetinaFaceConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RetinaFaceConfig()
        channels, activation = config.pyramid_channels, config.activation
        self.body = TRUNKS[config.backbone](activation)
        self.fpn = FeaturePyramid(self.body.pyramid_channels, channels, activation=activation)
        self.ssh1 = ContextModule(channels, activation=activation)
        self.ssh2 = ContextModule(channels, activation=activation)
        self.ssh3 = ContextModule(channels, activation=activation)
        self.ClassHead = self._heads(2)
        self.BboxHead = self._heads(4)
        self.LandmarkHead = self._heads(10)
        init_he_normal(self)
        for head in (*self.ClassHead, *self.BboxHead, *self.LandmarkHead):
            nn.init.normal_(head.conv1x1.weight, std=0.01)

    def _heads(self, value_count: int) -> nn.ModuleList:
        counts = [len(sides) for sides in self.config.min_sizes]
        return nn.ModuleList(
            Head(self.config.pyramid_channels, count, value_count=value_count) for count in counts
        )

    def prepare(self, images: Tensor) -> Tensor:
        """What `forward` expects, of (N, 3, H, W) RGB images with values 0..255 of any dtype.

        Raises:
            ShapeError: not three channels.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(f"images must have shape (N, 3, H, W), got {tuple(images.shape)}")
        ordered = images.flip(1) if self.config.channel_order == "BGR" else images
        means = torch.tensor(self.config.channel_means, device=images.device).reshape(3, 1, 1)
        return ordered - means

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw outputs for A anchors, in the order of `square_anchors`: P3, P4, P5, each by row, column, side.

        Args:
            images: (N, 3, H, W), as `prepare` makes them.

        Returns:
            (N, A, 2) class logits, background first; (N, A, 4) box deltas; (N, A, 10) landmark deltas.
        """
        return self.answer(self.features(images))

    def features(self, images: Tensor) -> Features:
        """The maps on the way, of (N, 3, H, W) images as `prepare` makes them."""
        trunk = self.body.pyramid(images)
        pyramid = self.fpn(*trunk)
        contexts = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), pyramid, strict=True)]
        return Features(tuple(trunk), pyramid, tuple(contexts))

    def answer(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """The raw outputs that follow from the maps; as `forward`."""
        contexts = features.contexts
        class_logits, box_deltas, landmark_deltas = (
            torch.cat([head(context) for head, context in zip(heads, contexts, strict=True)], dim=1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        return class_logits, box_deltas, landmark_deltas


def retinaface(backbone: str = "mobilenet0.25") -> RetinaFaceNet:
    """A RetinaFace with fresh weights, in training mode, as configured in `CONFIGS`.

    Raises:
        InputError: no such backbone.
    """
    if backbone not in CONFIGS:
        raise InputError(f"unknown backbone {backbone!r}; choose one of {', '.join(CONFIGS)}")
    return RetinaFaceNet(CONFIGS[backbone])


def load_retinaface(path: Path, config: RetinaFaceConfig | None = None) -> RetinaFaceNet:
    """A RetinaFace with the weights of a public checkpoint, in evaluation mode.

    The file holds a state dict, whose `module.` prefixes are dropped; nothing in it is executed.

    Raises:
        WeightsError: not readable, or not the weights of a network of this configuration.
    """
    network = RetinaFaceNet(config)
    return load_state(network, path, what=f"a RetinaFace with {network.config}")


def _variant(backbone: str, published: Published | None = None) -> Variant:
    return Variant(partial(retinaface, backbone), (640, 640), published=published)


VARIANTS: dict[str, Variant] = {
    "retinaface-mobilenet0.25": _variant(
        "mobilenet0.25", Published(0.426, None, "Face-Detector-1MB-with-landmark (0.194 G at 240 x 320)")
    ),
    "retinaface-mobilenet0.5": _variant("mobilenet0.5"),
    "retinaface-mobilenet1": _variant("mobilenet1"),
    "retinaface-resnet18": _variant("resnet18"),
    "retinaface-resnet34": _variant("resnet34"),
    "retinaface-resnet50": _variant(
        "resnet50", Published(27.29, None, "Pytorch_Retinaface's Resnet50_Final.pth")
    ),
}
