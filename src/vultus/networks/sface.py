"""SFace's network: MobileNetV1 on aligned faces, and a linear layer over the whole of its last map.

    stem      3 x 3, stride 1 or 2                             112 -> 112 or 56
    blocks    13 depthwise separable ones: 3 x 3 a channel, 1 x 1 over all     -> 56 -> 28 -> 14 -> 7
    head      batch norm, all positions of all channels to the embedding, batch norm

It is the form of the public weights (OpenCV's `face_recognition_sface_2021dec.onnx`), which `read_sface` puts
into it, so that the default embedder can be trained further, cut and exported like any other network here.
The paper trains other backbones with its loss; the arrangement is read from the file. Nothing is said there
of an initialisation; He's normal one is used.

With `stem_stride=2` the stem halves the crop and the second block does not: the later maps have the
same sizes, and the layers of 112 x 112 a quarter of the positions. `channels` are the widths between
blocks, for networks that were cut. `slim-sface` is as wide as the public one up to its last block, with
half of the weights; it has a stem of stride 2, and ReLU, which runtimes compute within the convolution:
in int8 it runs three times as fast as in float, where PReLU gains nothing.

Zhong, Deng, Hu, Zhao, Li, Wen: SFace: Sigmoid-constrained hypersphere loss for robust face recognition.
IEEE TIP 2021. https://arxiv.org/abs/2205.12010
Howard et al.: MobileNets. 2017. https://arxiv.org/abs/1704.04861
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal

import torch
from torch import Tensor, nn

from vultus.errors import InputError, WeightsError
from vultus.networks.blocks import Activation, conv_bn_act, init_he_normal
from vultus.networks.embedding import check_crop_size, widen
from vultus.networks.mobilenet_v1 import depthwise_separable
from vultus.networks.variant import Variant
from vultus.runtime.graph import read_graph, unpack_blocked_weights

STRIDES: Final = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the 13 blocks
CHANNELS: Final = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
SLIM_CHANNELS: Final = (*CHANNELS[:-1], 320)  # the linear layer takes two thirds of SFace's weights
SIZE_HW: Final = (112, 112)
MAP_PX: Final = 7
OPERATORS: Final[Mapping[type[nn.Module], str]] = {
    nn.Conv2d: "Conv",
    nn.BatchNorm2d: "BatchNormalization",
    nn.BatchNorm1d: "BatchNormalization",
    nn.PReLU: "PRelu",
    nn.Linear: "Gemm",
}


class SFace(nn.Module):
    """Aligned faces to un-normalised embeddings.

    Expects RGB scaled as (x - 127.5) / 128; the published file scales for itself.

    Args:
        embedding_size: length of the output.
        channels: of the stem, then of each of the 13 blocks.
        stem_stride: 1 as published, or 2: see the module.
        activation: after every convolution; PReLU as published.

    Raises:
        InputError: an unknown activation, or not 14 widths.
    """

    def __init__(
        self,
        *,
        embedding_size: int = 128,
        channels: Sequence[int] = CHANNELS,
        stem_stride: Literal[1, 2] = 1,
        activation: Activation = "prelu",
    ) -> None:
        super().__init__()
        if len(channels) != len(CHANNELS):
            raise InputError(f"channels must name {len(CHANNELS)} widths, got {len(channels)}")
        strides = (STRIDES[0], STRIDES[1] // stem_stride, *STRIDES[2:])
        self.stem = conv_bn_act(3, channels[0], stride=stem_stride, activation=activation)
        self.blocks = nn.Sequential(
            *(
                depthwise_separable(before, after, stride=stride, activation=activation)
                for before, after, stride in zip(channels, channels[1:], strides, strict=False)
            )
        )
        self.map_bn = nn.BatchNorm2d(channels[-1])
        self.project = nn.Linear(channels[-1] * MAP_PX**2, embedding_size)
        self.bn = nn.BatchNorm1d(embedding_size)
        init_he_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 112, 112) crops to (N, embedding_size), not normalised.

        Raises:
            ShapeError: crops of another size.
        """
        check_crop_size(images, SIZE_HW)
        maps = self.map_bn(self.blocks(self.stem(images)))
        raw: Tensor = self.bn(widen(self.project(maps.flatten(1))))
        return raw


def read_sface(model: bytes) -> SFace:
    """The network with the weights of OpenCV's file, plain or with blocks of int8, in evaluation mode.

    Args:
        model: the ONNX file: `read("sface")` or `read("sface-int8bq")` of `vultus.weights.store`.

    Raises:
        WeightsError: the bytes are no ONNX graph, or that of another network.
    """
    from onnx import numpy_helper

    graph = read_graph(model).graph
    unpack_blocked_weights(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    network = SFace()
    layers = [
        (layer, operator)
        for layer in network.modules()
        for kind, operator in OPERATORS.items()
        if isinstance(layer, kind)
    ]
    nodes = [node for node in graph.node if node.op_type in OPERATORS.values()]
    if [node.op_type for node in nodes] != [kind for _, kind in layers]:
        raise WeightsError(
            f"the file must hold the {len(layers)} layers of SFace in their order, got {len(nodes)} layers"
        )
    for (layer, kind), node in zip(layers, nodes, strict=True):
        tensors = [
            torch.from_numpy(numpy_helper.to_array(constants[name]).copy())
            for name in node.input
            if name in constants
        ]
        epsilon = next((field.f for field in node.attribute if field.name == "epsilon"), 1e-5)
        try:
            layer.load_state_dict(_state_of(layer, tensors, epsilon=epsilon))
        except (RuntimeError, ValueError) as error:
            raise WeightsError(
                f"the file must hold the weights of SFace; {kind} {node.name}: {error}"
            ) from error
    return network.eval()


def _state_of(layer: nn.Module, tensors: Sequence[Tensor], *, epsilon: float) -> dict[str, Tensor]:
    """What a layer computes as the node does from these constants, by its own names."""
    if isinstance(layer, nn.PReLU):
        (slopes,) = tensors
        return {"weight": slopes.flatten()}
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        gamma, beta, mean, variance = tensors
        # The layer's epsilon is another one than the file's; gamma makes up for it.
        scale = ((variance + layer.eps) / (variance + epsilon)).sqrt()
        state = {"weight": gamma * scale, "bias": beta, "running_mean": mean, "running_var": variance}
        return {**state, "num_batches_tracked": torch.tensor(0)}
    return dict(zip(("weight", "bias"), tensors, strict=False))


VARIANTS: Mapping[str, Variant] = {
    "sface": Variant(SFace, SIZE_HW, embedding_size=128, pixel_std=128.0),
    "slim-sface": Variant(
        partial(SFace, channels=SLIM_CHANNELS, stem_stride=2, activation="relu"),
        SIZE_HW,
        embedding_size=128,
        pixel_std=128.0,
    ),
}
