"""YOLOv5-Face: YOLOv5 with five landmarks per face, in eight sizes.

    stem   to stride 4: a convolution, then a stride-2 convolution beside a max pool (YOLOv5: Focus layer)
    trunk  n-0.5, n: ShuffleNetV2 units; s, m, l: CSP bottlenecks (C3), SPP with kernels 3, 5, 7 at the end
    PAN    down: P_k = C3(concat(C_k, up(L_k))), L_k = 1x1(P_k+1)     what the coarse maps know
           up:   Q_k+1 = C3(concat(L_k, stride-2 conv(Q_k)))          where exactly the fine maps saw it
    heads  1x1: for each of 3 anchors per cell 16 numbers: box 4, objectness 1, landmarks 10, class 1

Small SPP kernels and the stem find small faces; the P6 forms add a map at stride 64 for large ones.

The network ends at raw outputs t. In row i, column j of the map with stride s, for an anchor of a_w x a_h px:

    x = (2 sigmoid(t_x) - 0.5 + j) s      w = (2 sigmoid(t_w))^2 a_w      landmark x = t a_w + j s

(y and h alike, with i); the score is sigmoid(t_objectness) sigmoid(t_class).

Written from the papers and from the graph of the exported n-0.5 weights, with which the outputs agree; the
parameters equal the published ones in all eight sizes. The papers do not give an initialisation: He's normal
one; N(0, 0.01^2) for the heads, where objectness starts at 0.01, as in RetinaNet.

Qi, Tan, Yao, Liu: YOLO5Face: Why reinventing a face detector. ECCVW 2022. https://arxiv.org/abs/2105.12931
Ma, Zhang, Zheng, Sun: ShuffleNet V2. ECCV 2018. https://arxiv.org/abs/1807.11164
Wang et al.: CSPNet. CVPRW 2020. https://arxiv.org/abs/1911.11929
Liu, Qi, Qin, Shi, Jia: Path aggregation network. CVPR 2018. https://arxiv.org/abs/1803.01534
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.geometry.anchors import YOLOV5_FACE_ANCHORS, YOLOV5_FACE_P6_ANCHORS
from vultus.networks.blocks import conv_bn_act, init_he_normal
from vultus.networks.variant import Published, Variant

Anchors: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]

VALUES_PER_ANCHOR = 16
OBJECTNESS = 4  # its position among the 16
SPP_KERNELS = (3, 5, 7)
BATCH_NORM_EPS = 1e-3  # with the momentum: YOLOv5's
BATCH_NORM_MOMENTUM = 0.03
OBJECTNESS_PRIOR = 0.01

conv = partial(conv_bn_act, activation="silu")


@dataclass(frozen=True, slots=True)
class YOLOv5FaceConfig:
    """The measures of one size.

    Attributes:
        units: what the trunk is made of.
        stem_channels: channels of the stem, at stride 4.
        trunk_channels: channels of each stage. Each stage halves the map; only the first CSP stage does not.
        trunk_depths: units per stage.
        neck_channels: channels of the PAN at strides 8, 16, 32 (and 64), for the last as many stages.
        neck_depth: bottlenecks in each C3 of the PAN.
        anchors: width and height in pixels of the anchors at each stride of the PAN.

    Raises:
        InputError: lengths that disagree.
    """

    units: Literal["shufflenet", "csp"]
    stem_channels: int
    trunk_channels: tuple[int, ...]
    trunk_depths: tuple[int, ...]
    neck_channels: tuple[int, ...]
    neck_depth: int = 1
    anchors: Anchors = YOLOV5_FACE_ANCHORS

    def __post_init__(self) -> None:
        if len(self.trunk_channels) != len(self.trunk_depths):
            raise InputError(f"expected a depth for each of {self.trunk_channels}, got {self.trunk_depths}")
        if len(self.anchors) != len(self.neck_channels):
            raise InputError(f"expected anchors for each of {self.neck_channels}, got {self.anchors}")

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per cell of each output."""
        return tuple(8 << level for level in range(len(self.neck_channels)))


def _csp(*, width: float, depth: float, p6: bool = False) -> YOLOv5FaceConfig:
    """Size l with its channels scaled by `width` and its repetitions by `depth`."""
    channels = [round(width * c) for c in ((128, 256, 512, 768, 1024) if p6 else (128, 256, 512, 1024))]
    depths = [max(1, round(depth * n)) for n in ((3, 9, 9, 3, 3) if p6 else (3, 9, 9, 3))]
    return YOLOv5FaceConfig(
        units="csp",
        stem_channels=round(width * 64),
        trunk_channels=tuple(channels),
        trunk_depths=tuple(depths),
        neck_channels=tuple(channels[1:]),
        neck_depth=depths[0],
        anchors=YOLOV5_FACE_P6_ANCHORS if p6 else YOLOV5_FACE_ANCHORS,
    )


CONFIGS: dict[str, YOLOv5FaceConfig] = {
    "n-0.5": YOLOv5FaceConfig("shufflenet", 16, (64, 128, 256), (4, 8, 4), (64, 64, 64)),
    "n": YOLOv5FaceConfig("shufflenet", 32, (128, 256, 512), (4, 8, 4), (128, 128, 128)),
    "s": _csp(width=0.5, depth=1 / 3),
    "m": _csp(width=0.75, depth=2 / 3),
    "l": _csp(width=1, depth=1),
    # Nobody published an n6: ours is n with a fourth stage.
    "n6": YOLOv5FaceConfig(
        "shufflenet",
        32,
        (128, 256, 384, 512),
        (4, 8, 4, 4),
        (128, 128, 128, 128),
        anchors=YOLOV5_FACE_P6_ANCHORS,
    ),
    "s6": _csp(width=0.5, depth=1 / 3, p6=True),
    "m6": _csp(width=0.75, depth=2 / 3, p6=True),
    "l6": _csp(width=1, depth=1, p6=True),
}


class Stem(nn.Module):
    """A quarter of the size: a learned and a pooled halving side by side, after a first convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(3, channels, stride=2)
        self.squeeze = conv(channels, channels // 2, kernel=1)
        self.halve = conv(channels // 2, channels, stride=2)
        self.mix = conv(2 * channels, channels, kernel=1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H / 4, W / 4) of (N, 3, H, W)."""
        features = self.first(images)
        learned = self.halve(self.squeeze(features))
        pooled = F.max_pool2d(features, 2)
        mixed: Tensor = self.mix(torch.cat([learned, pooled], dim=1))
        return mixed


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass by, half are convolved, then both are interleaved.

    With stride 2 both halves are made from all channels (figure 3 (c) and (d) of the paper).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.is_split = stride == 1
        self.bypass = (
            nn.Identity()
            if self.is_split
            else nn.Sequential(depthwise(in_channels, stride=stride), conv(in_channels, half, kernel=1))
        )
        self.branch = nn.Sequential(
            conv(half if self.is_split else in_channels, half, kernel=1),
            depthwise(half, stride=stride),
            conv(half, half, kernel=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, out_channels, H / stride, W / stride) of (N, in_channels, H, W)."""
        left, right = features.chunk(2, dim=1) if self.is_split else (features, features)
        joined = torch.stack([self.bypass(left), self.branch(right)], dim=2)  # (N, C / 2, 2, H, W)
        return joined.flatten(1, 2)  # left and right channels alternate


class Bottleneck(nn.Module):
    """1 x 1 then 3 x 3 convolution, with or without a shortcut around both."""

    def __init__(self, channels: int, *, has_shortcut: bool) -> None:
        super().__init__()
        self.mix = conv(channels, channels, kernel=1)
        self.look = conv(channels, channels)
        self.has_shortcut = has_shortcut

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) of (N, C, H, W)."""
        residual: Tensor = self.look(self.mix(features))
        return features + residual if self.has_shortcut else residual


class C3(nn.Module):
    """CSP bottlenecks and three convolutions: half of the channels take the long way, half a short one."""

    def __init__(self, in_channels: int, out_channels: int, *, depth: int, has_shortcuts: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.enter = conv(in_channels, half, kernel=1)
        self.bottlenecks = nn.Sequential(
            *(Bottleneck(half, has_shortcut=has_shortcuts) for _ in range(depth))
        )
        self.bypass = conv(in_channels, half, kernel=1)
        self.merge = conv(2 * half, out_channels, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, out_channels, H, W) of (N, in_channels, H, W)."""
        long_way = self.bottlenecks(self.enter(features))
        merged: Tensor = self.merge(torch.cat([long_way, self.bypass(features)], dim=1))
        return merged


class SPP(nn.Module):
    """Spatial pyramid pooling: each cell also learns the maxima of its surroundings, at several sizes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.enter = conv(channels, half, kernel=1)
        self.merge = conv(half * (1 + len(SPP_KERNELS)), channels, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) of (N, C, H, W)."""
        entered = self.enter(features)
        pooled = [F.max_pool2d(entered, kernel, 1, kernel // 2) for kernel in SPP_KERNELS]
        merged: Tensor = self.merge(torch.cat([entered, *pooled], dim=1))
        return merged


class PathAggregation(nn.Module):
    """PAN: carries meaning from coarse maps down to fine ones, then places from fine ones up to coarse."""

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int], *, depth: int) -> None:
        super().__init__()
        merge = partial(C3, depth=depth, has_shortcuts=False)
        coarser = [*out_channels[1:-1], in_channels[-1]]
        self.lateral = nn.ModuleList(
            conv(above, out, kernel=1) for above, out in zip(coarser, out_channels[:-1], strict=True)
        )
        self.down = nn.ModuleList(
            merge(out + below, out) for below, out in zip(in_channels[:-1], out_channels[:-1], strict=True)
        )
        self.halve = nn.ModuleList(conv(out, out, stride=2) for out in out_channels[:-1])
        self.up = nn.ModuleList(merge(2 * below, out) for below, out in pairwise(out_channels))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """One map per stride, finest first, of one map per stride."""
        laterals: list[Tensor] = []  # coarsest first
        current = maps[-1]
        for level in reversed(range(len(maps) - 1)):
            laterals.append(self.lateral[level](current))
            enlarged = F.interpolate(laterals[-1], scale_factor=2.0)
            current = self.down[level](torch.cat([enlarged, maps[level]], dim=1))
        outputs = [current]
        for halve, up, lateral in zip(self.halve, self.up, reversed(laterals), strict=True):
            outputs.append(up(torch.cat([halve(outputs[-1]), lateral], dim=1)))
        return outputs


class YOLOv5FaceNet(nn.Module):
    """Images to the raw 16 numbers of every anchor, one output per stride.

    Args:
        config: the measures; those of the published sizes are in `CONFIGS`.
    """

    def __init__(self, config: YOLOv5FaceConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem(config.stem_channels)
        self.stages = nn.ModuleList(
            _shuffle_stages(config) if config.units == "shufflenet" else _csp_stages(config)
        )
        levels = len(config.neck_channels)
        self.neck = PathAggregation(
            config.trunk_channels[-levels:], config.neck_channels, depth=config.neck_depth
        )
        init_he_normal(self)
        self.heads = nn.ModuleList(
            _head(channels, len(anchors))
            for channels, anchors in zip(config.neck_channels, config.anchors, strict=True)
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = BATCH_NORM_EPS, BATCH_NORM_MOMENTUM

    def prepare(self, images: Tensor) -> Tensor:
        """What `forward` expects, of (N, 3, H, W) RGB images with values 0..255 of any dtype."""
        return images / 255

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Raw outputs, one per stride, finest first.

        Args:
            images: (N, 3, H, W) RGB in [0, 1]; H and W are multiples of 32, or of 64 in the P6 forms.

        Returns:
            (N, 3, H / stride, W / stride, 16) for each stride: anchor, row, column, value.

        Raises:
            ShapeError: another shape.
        """
        self._check(images)
        maps = []
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        outputs = self.neck(maps[-len(self.heads) :])
        return tuple(
            head(features).unflatten(1, (-1, VALUES_PER_ANCHOR)).permute(0, 1, 3, 4, 2)
            for head, features in zip(self.heads, outputs, strict=True)
        )

    def _check(self, images: Tensor) -> None:
        multiple = self.config.strides[-1]
        is_batch = images.ndim == 4 and images.shape[1] == 3
        if not is_batch or images.shape[2] % multiple or images.shape[3] % multiple:
            raise ShapeError(
                f"images must have shape (N, 3, H, W) with H and W multiples of {multiple}, "
                f"got {tuple(images.shape)}; letterbox them to such a size"
            )


def depthwise(channels: int, *, stride: int) -> nn.Sequential:
    """A 3 x 3 filter per channel and batch norm, without activation."""
    return conv_bn_act(channels, channels, stride=stride, groups=channels, activation="none")


def _head(channels: int, anchor_count: int) -> nn.Conv2d:
    """Predicts little at first: boxes as large as their anchors, and objectness near its prior."""
    head = nn.Conv2d(channels, anchor_count * VALUES_PER_ANCHOR, 1)
    nn.init.normal_(head.weight, std=0.01)
    bias = torch.zeros(anchor_count, VALUES_PER_ANCHOR)
    bias[:, OBJECTNESS] = math.log(OBJECTNESS_PRIOR / (1 - OBJECTNESS_PRIOR))
    head.bias = nn.Parameter(bias.flatten())
    return head


def _shuffle_stages(config: YOLOv5FaceConfig) -> Iterator[nn.Sequential]:
    """Each stage halves the map in its first unit."""
    in_channels = config.stem_channels
    for channels, depth in zip(config.trunk_channels, config.trunk_depths, strict=True):
        units = [ShuffleUnit(in_channels, channels, stride=2)]
        units += [ShuffleUnit(channels, channels, stride=1) for _ in range(depth - 1)]
        yield nn.Sequential(*units)
        in_channels = channels


def _csp_stages(config: YOLOv5FaceConfig) -> Iterator[nn.Sequential]:
    """Each stage but the first halves the map; the last pools it, and has no shortcuts."""
    in_channels = config.stem_channels
    last = len(config.trunk_channels) - 1
    for number, (channels, depth) in enumerate(zip(config.trunk_channels, config.trunk_depths, strict=True)):
        stage: list[nn.Module] = []
        if number > 0:
            stage.append(conv(in_channels, channels, stride=2))
            in_channels = channels
        if number == last:
            stage.append(SPP(channels))
        stage.append(C3(in_channels, channels, depth=depth, has_shortcuts=number < last))
        yield nn.Sequential(*stage)
        in_channels = channels


def yolov5_face(size: str = "n-0.5") -> YOLOv5FaceNet:
    """A YOLOv5-Face of a published size (or n6, which is ours) with fresh weights, in training mode.

    Raises:
        InputError: no such size.
    """
    if size not in CONFIGS:
        raise InputError(f"unknown size {size!r}; choose one of {', '.join(CONFIGS)}")
    return YOLOv5FaceNet(CONFIGS[size])


def _variant(size: str, params_m: float, gflops: float) -> Variant:
    size_hw = (512, 640) if size.endswith("6") else (480, 640)
    published = Published(params_m, gflops, "paper and its model zoo, at 640 x 480 (P6: 640 x 512)")
    note = "the published figure adds two operations per batch-normalised value; so counted, ours is the same"
    return Variant(partial(yolov5_face, size), size_hw, published=published, note=note)


VARIANTS: dict[str, Variant] = {
    "yolov5-face-n-0.5": _variant("n-0.5", 0.447, 0.571),
    "yolov5-face-n": _variant("n", 1.726, 2.111),
    "yolov5-face-s": _variant("s", 7.075, 5.751),
    "yolov5-face-m": _variant("m", 21.063, 18.146),
    "yolov5-face-l": _variant("l", 46.627, 41.607),
    "yolov5-face-n6": Variant(partial(yolov5_face, "n6"), (512, 640), note="ours; no published form"),
    "yolov5-face-s6": _variant("s6", 12.386, 6.280),
    "yolov5-face-m6": _variant("m6", 35.485, 19.773),
    "yolov5-face-l6": _variant("l6", 76.674, 45.279),
}
