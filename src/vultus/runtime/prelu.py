"""PReLU put together again, for runtimes that have a kernel for it.

`vultus.runtime.graph` writes PReLU as ONNX Runtime runs it fast, and our own exports come that way:

    prelu(x) = relu(x) + D[-a] relu(D[-1] x)        D[k]: the depthwise 1x1 convolution that multiplies by k

OpenVINO fuses a PReLU into the convolution before it, but runs these five nodes one by one. Here they become
one again: the same function.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vultus.runtime.graph import read_graph

if TYPE_CHECKING:
    from onnx import NodeProto


def restore_prelu(model: bytes) -> bytes:
    """The same network with a PReLU for each that was taken apart; byte for byte the same without any.

    Raises:
        WeightsError: the bytes are no ONNX graph.
    """
    from onnx import helper, numpy_helper

    proto = read_graph(model)
    weights = {tensor.name: tensor for tensor in proto.graph.initializer}
    made_by = {output: node for node in proto.graph.node for output in node.output}
    replaced: dict[str, NodeProto] = {}
    for node in proto.graph.node:
        parts = _parts(node, made_by)
        if parts is None:
            continue
        x, mirror, scale = parts
        slope = -numpy_helper.to_array(weights[scale]) if scale in weights else None
        if (
            slope is None
            or mirror not in weights
            or not _is_minus_one(numpy_helper.to_array(weights[mirror]))
        ):
            continue
        name = f"{node.output[0]}/slope"
        proto.graph.initializer.append(numpy_helper.from_array(slope.reshape(-1, 1, 1), name))
        replaced[node.output[0]] = helper.make_node("PRelu", [x, name], [node.output[0]])
    if not replaced:
        return model
    nodes = [replaced.get(node.output[0], node) for node in proto.graph.node]
    kept = _needed(nodes, {each.name for each in proto.graph.output})
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _parts(node: "NodeProto", made_by: dict[str, "NodeProto"]) -> tuple[str, str, str] | None:
    """Of the sum that ends a PReLU: its input, and the names of the weights of both convolutions."""
    if node.op_type != "Add":
        return None
    made = {each.op_type: each for name in node.input if (each := made_by.get(name)) is not None}
    positive, scaled = made.get("Relu"), made.get("Conv")
    if positive is None or scaled is None or len(scaled.input) != 2:
        return None
    negative = made_by.get(scaled.input[0])
    mirrored = made_by.get(negative.input[0]) if negative is not None else None
    if negative is None or negative.op_type != "Relu" or mirrored is None or mirrored.op_type != "Conv":
        return None
    if len(mirrored.input) != 2 or mirrored.input[0] != positive.input[0]:
        return None
    return positive.input[0], mirrored.input[1], scaled.input[1]


def _is_minus_one(kernel: NDArray[np.float32]) -> bool:
    """Whether a convolution with this kernel turns the sign of each channel, and nothing else."""
    return kernel.shape[1:] == (1, 1, 1) and bool((kernel == -1).all())


def _needed(nodes: list["NodeProto"], outputs: set[str]) -> list["NodeProto"]:
    """Those of the nodes, in their order, on which an output depends."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]
