"""FaceNet: maps a face straight to a point on the unit sphere.

    trunk, average over positions, dropout, linear to 128 or 512 (the bottleneck), batch norm, L2

Distances on the sphere are what training shapes and what recognition compares, so the L2 layer is part of the
network (figure 2): `forward` answers unit vectors, `forward_feature` both sides of that layer.

**The classifier trap.** A softmax over unit vectors cannot converge: with class weights of length 1 no logit
leaves [-1, 1], and cross-entropy over C classes stays above log(1 + (C - 1) e^-2), which is 7.27 for the
10,575 people of CASIA-WebFace. `FaceNetClassifier` reads the raw feature, or the embedding times a scale.

Differs from the paper: the trunks are MobileNetV1 of any width and Inception-ResNet-V1 in place of
Zeiler-Fergus and GoogLeNet; dropout and batch norm around the bottleneck are D. Sandberg's. The paper gives
no initialisation: trunks bring their own, the linear layers have Glorot's uniform one.

Schroff, Kalenichenko, Philbin: FaceNet: a unified embedding for face recognition and clustering. CVPR 2015.
https://arxiv.org/abs/1503.03832
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import Feature, widen
from vultus.networks.inception_resnet_v1 import BATCH_NORM_EPS, TRUNK_CHANNELS, InceptionResNetV1Trunk
from vultus.networks.mobilenet_v1 import MobileNetV1
from vultus.networks.variant import Variant

Backbone: TypeAlias = Literal["mobilenet-v1", "inception-resnet-v1"]


class FaceNet(nn.Module):
    """Faces to unit embeddings.

    Expects RGB scaled as (x - 127.5) / 128, usually 160 x 160. MobileNetV1 takes any size,
    Inception-ResNet-V1 any from 75 x 75.

    Args:
        backbone: "mobilenet-v1" or "inception-resnet-v1".
        width: MobileNetV1's width multiplier; the other trunk has none.
        embedding_size: length of the embedding: 128 in the paper, 512 in the public weights.
        dropout: share of the pooled features that is dropped in training.

    Raises:
        InputError: an unknown backbone, or a width for a trunk that has none.
    """

    def __init__(
        self,
        backbone: Backbone = "mobilenet-v1",
        *,
        width: float = 1.0,
        embedding_size: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.backbone, channels = _trunk(backbone, width)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.bottleneck = nn.Linear(channels, embedding_size, bias=False)
        self.last_bn = nn.BatchNorm1d(embedding_size, eps=BATCH_NORM_EPS)
        self.embedding_size = embedding_size
        nn.init.xavier_uniform_(self.bottleneck.weight)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images to (N, embedding_size) rows of length 1."""
        return self.forward_feature(images).embedding

    def forward_feature(self, images: Tensor) -> Feature:
        """(N, 3, H, W) images to (N, embedding_size) before and after the L2 layer."""
        pooled = self.dropout(self.pool(self.backbone(images)).flatten(1))
        return Feature.of(self.last_bn(widen(self.bottleneck(pooled))))


@runtime_checkable
class FeatureNetwork(Protocol):
    """What a classifier needs of an embedding network; `FaceNet` and `InceptionResNetV1` keep it."""

    def forward_feature(self, images: Tensor) -> Feature:
        """(N, 3, H, W) images to (N, D) before and after the L2 layer."""
        ...


class Classified(NamedTuple):
    """What the classifier answers in one pass, so that a softmax and a triplet loss can train together.

    Attributes:
        logits: (N, class_count).
        embedding: (N, D) of length 1.
    """

    logits: Tensor
    embedding: Tensor


class FaceNetClassifier(nn.Module):
    """A network with a class per person on top, for training.

    Args:
        network: what makes the features.
        embedding_size: their length.
        class_count: how many people.
        scale: None feeds the raw feature; a number feeds the unit embedding times that.

    Raises:
        InputError: the scale is not above 0.
    """

    def __init__(
        self, network: FeatureNetwork, *, embedding_size: int, class_count: int, scale: float | None = None
    ) -> None:
        super().__init__()
        if scale is not None and not scale > 0:
            raise InputError(f"scale must be above 0, got {scale}; None feeds the raw feature instead")
        self.network = network
        self.classifier = nn.Linear(embedding_size, class_count)
        self._scale = scale
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Classified:
        """Logits and embeddings of (N, 3, H, W) images."""
        feature = self.network.forward_feature(images)
        fed = feature.raw if self._scale is None else self._scale * feature.embedding
        return Classified(self.classifier(fed), feature.embedding)


def _trunk(backbone: Backbone, width: float) -> tuple[nn.Module, int]:
    """Images to (N, C, h, w) maps, and C."""
    if backbone == "mobilenet-v1":
        network = MobileNetV1(width)
        return nn.Sequential(network.stage1, network.stage2, network.stage3), network.pyramid_channels[-1]
    if backbone != "inception-resnet-v1":
        raise InputError(f"backbone must be one of {', '.join(get_args(Backbone))}, got {backbone!r}")
    if width != 1.0:
        raise InputError(f"inception-resnet-v1 has no width multiplier, got width {width}")
    return InceptionResNetV1Trunk(), TRUNK_CHANNELS


VARIANTS: Mapping[str, Variant] = {
    "facenet-mobilenet-v1": Variant(FaceNet, (160, 160), embedding_size=128, pixel_std=128.0),
    "facenet-mobilenet-v1-x0.5": Variant(
        partial(FaceNet, width=0.5), (160, 160), embedding_size=128, pixel_std=128.0
    ),
    "facenet-mobilenet-v1-x0.25": Variant(
        partial(FaceNet, width=0.25), (160, 160), embedding_size=128, pixel_std=128.0
    ),
    "facenet-inception-resnet-v1": Variant(
        partial(FaceNet, "inception-resnet-v1", embedding_size=512),
        (160, 160),
        embedding_size=512,
        pixel_std=128.0,
    ),
}
