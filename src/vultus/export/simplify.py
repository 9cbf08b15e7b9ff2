"""Graphs made smaller without changing what they compute.

1. *The batch norm behind a flattened convolution* goes into that convolution, as the exporter does it for
   batch norms right behind convolutions:  W' = W gamma / sigma,  b' = (b - mu) gamma / sigma + beta.
   Embedding networks end so.
2. *An Expand before a division* goes: division broadcasts by itself. `F.normalize` is exported with one.
3. *Nodes that nothing reads* go, and weights likewise.
"""

from collections import Counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from vultus.runtime.graph import names_read

FLATTENING = {"Reshape", "Flatten", "Squeeze"}
BATCH_NORM_EPS = 1e-5  # ONNX' default


def simplify(model: onnx.ModelProto) -> None:
    """Make the graph smaller in these three ways."""
    _fold_last_norms(model.graph)
    _drop_expands(model.graph)
    drop_unread(model.graph)


def _fold_last_norms(graph: onnx.GraphProto) -> None:
    made_by = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        flattened = made_by.get(norm.input[0])
        if flattened is None or flattened.op_type not in FLATTENING:
            continue
        convolution = made_by.get(flattened.input[0])
        if convolution is None or convolution.op_type != "Conv" or convolution.input[1] not in weights:
            continue
        is_only_reader = readers[norm.input[0]] == readers[convolution.output[0]] == 1
        if is_only_reader and _fold(graph, norm, convolution, weights):
            convolution.output[0] = flattened.input[0] = (
                f"{norm.output[0]}/maps"  # no longer that layer's value
            )
            flattened.output[0] = norm.output[0]
            graph.node.remove(norm)


def _fold(
    graph: onnx.GraphProto,
    norm: onnx.NodeProto,
    convolution: onnx.NodeProto,
    weights: dict[str, onnx.TensorProto],
) -> bool:
    """Put the norm into the weights of the convolution, if it has one value for each of its channels."""
    names = [*norm.input[1:], *convolution.input[1:]]
    if not all(name in weights for name in names):
        return False
    gamma, beta, mean, variance, kernel, *bias = (_array(weights[name]) for name in names)
    if len(gamma) != len(kernel):  # several positions were flattened: another norm for each
        return False
    eps = next((each.f for each in norm.attribute if each.name == "epsilon"), BATCH_NORM_EPS)
    scale = gamma / np.sqrt(variance + eps)
    shift = ((bias[0] if bias else 0) - mean) * scale + beta
    folded = {"weight": kernel * scale.reshape(-1, *[1] * (kernel.ndim - 1)), "bias": shift}
    made = [f"{norm.output[0]}/{part}" for part in folded]
    for name, array in zip(made, folded.values(), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    convolution.input[:] = [convolution.input[0], *made]
    return True


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    return numpy_helper.to_array(tensor).astype(np.float64)


def _drop_expands(graph: onnx.GraphProto) -> None:
    expanded = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Expand"}
    for node in graph.node:
        if node.op_type == "Div" and node.input[1] in expanded:
            node.input[1] = expanded[node.input[1]]


def drop_unread(graph: onnx.GraphProto) -> None:
    """Drop the nodes and weights whose values nothing reads."""
    read = {each.name for each in graph.output}
    kept = []
    for node in reversed(graph.node):
        if read & set(node.output):
            kept.append(node)
            inner = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
            read |= set(node.input).union(*map(names_read, inner))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    stored = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(stored)
