"""Graphs that compute in fp16 or bf16, with what needs more in fp32: for GPUs, and CPUs that have such units.

Every node of a known kind computes in half precision, except the *tail*: from the last layer with weights on
(the embedding's projection, into which its batch norm is folded, and the L2 normalisation behind it). Squares
of 512 numbers overflow fp16 at 65,504, and a rounded embedding loses the third digit of a cosine. Casts stand
where the precision changes; input and output stay float32. TensorRT wants the precision in the graph like
this since its networks are strongly typed.
"""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ExportError
from vultus.export.gate import Feed, Gate, Passed
from vultus.export.half import LARGEST

Half: TypeAlias = Literal["fp16", "bf16"]
ONNX_TYPES: Final = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
BFLOAT16_OPSET: Final = 22
LAYERS: Final = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
HALVED: Final = (
    *LAYERS,
    *("Add", "Mul", "Sub", "Relu", "PRelu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "BatchNormalization", "Identity"),
    *("Concat", "Reshape", "Flatten", "Transpose", "Slice", "Split", "Squeeze", "Unsqueeze"),
)


def half_precision(model: bytes, gate: Gate, half: Half, *, feed: Feed) -> tuple[bytes, Passed]:
    """The graph in half precision, and what the gate measured.

    ONNX Runtime computes no bfloat16 convolution on a CPU: there a graph is judged that rounds likewise and
    computes in float32 (`emulate`), and the written file is only known to be a valid graph.

    Raises:
        ExportError: it does not pass.
    """
    proto = onnx.load_model_from_string(model)
    halve(proto, half)
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    if half == "fp16":
        return data, gate.check(data, feed=feed)
    rounded = onnx.load_model_from_string(model)
    emulate(rounded, half)
    return data, gate.check(rounded.SerializeToString(), feed=feed)


def halve(model: onnx.ModelProto, half: Half = "fp16") -> None:
    """Let the graph compute in half precision, except its tail.

    Raises:
        ExportError: there is no layer before the tail, or a weight that fp16 cannot hold.
    """
    if half == "bf16":  # in older operator sets Conv and the pools take none; nothing else changed in them
        for each in model.opset_import:
            each.version = max(each.version, BFLOAT16_OPSET) if not each.domain else each.version
    graph = model.graph
    low = _low_nodes(graph)
    if not low:
        raise ExportError("the graph has no layer that could compute in half precision")
    typed = _float_values(model)
    halved = {name for node in low for name in node.output if name in typed}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    casts: dict[tuple[str, bool], str] = {}  # (value, to half) -> the name of its cast
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        is_low = any(node is each for each in low)
        for place, name in enumerate(node.input):
            if name not in typed or (name in halved) == is_low:
                continue
            if (name, is_low) not in casts:
                casts[name, is_low] = f"{name}/{half if is_low else 'fp32'}"
                if name in weights:
                    graph.initializer.append(_halved(weights[name], casts[name, is_low], half))
                else:
                    to = ONNX_TYPES[half] if is_low else TensorProto.FLOAT
                    nodes.append(helper.make_node("Cast", [name], [casts[name, is_low]], to=to))
            node.input[place] = casts[name, is_low]
        nodes.append(node)
    nodes += list(_widened_outputs(graph, halved))
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unread_weights(graph)
    del graph.value_info[:]


def _low_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Those that compute in half precision."""
    nodes = list(graph.node)
    last = max((place for place, node in enumerate(nodes) if node.op_type in LAYERS), default=0)
    first = min((place for place, node in enumerate(nodes) if node.op_type in LAYERS), default=0)
    return [node for node in nodes[first:last] if node.op_type in HALVED]  # before it: the preprocessing


def _float_values(model: onnx.ModelProto) -> set[str]:
    """The names of all float32 values and weights."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    told = (*graph.input, *graph.output, *graph.value_info)
    values = {each.name for each in told if each.type.tensor_type.elem_type == TensorProto.FLOAT}
    return values | {each.name for each in graph.initializer if each.data_type == TensorProto.FLOAT}


def _halved(tensor: onnx.TensorProto, name: str, half: Half) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    if half == "fp16" and float(np.abs(values).max()) > LARGEST:
        raise ExportError(f"the weight {tensor.name} reaches {np.abs(values).max():g}, fp16 only {LARGEST:g}")
    return numpy_helper.from_array(values.astype(np.float16 if half == "fp16" else ml_dtypes.bfloat16), name)


def _widened_outputs(graph: onnx.GraphProto, halved: set[str]) -> Iterator[onnx.NodeProto]:
    """Casts for the outputs of the graph that half-precision nodes compute, under the outputs' names."""
    for output in graph.output:
        if output.name in halved:
            inner = f"{output.name}/half"
            for node in graph.node:
                node.output[:] = [inner if name == output.name else name for name in node.output]
                node.input[:] = [inner if name == output.name else name for name in node.input]
            yield helper.make_node("Cast", [inner], [output.name], to=TensorProto.FLOAT)


def _drop_unread_weights(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def emulate(model: onnx.ModelProto, half: Half) -> None:
    """Round as `halve` would, but compute in float32: a graph that every CPU runs, to judge the other by.

    Weights and the answer of every node before the tail are rounded to half precision and widened again; sums
    within a layer stay in float32, as matrix units accumulate them.
    """
    graph = model.graph
    low = _low_nodes(graph)
    typed = _float_values(model)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    rounded: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        is_low = any(node is each for each in low)
        for place, name in enumerate(node.input):
            if is_low and name in typed and (name in weights or name not in rounded.values()):
                if name not in rounded:
                    rounded[name] = f"{name}/rounded"
                    nodes += _rounding(name, rounded[name], half)
                node.input[place] = rounded[name]
        nodes.append(node)
        for place, name in enumerate(node.output):
            if is_low and name in typed:
                node.output[place] = f"{name}/exact"
                nodes += _rounding(f"{name}/exact", name, half)
                rounded[f"{name}/exact"] = name
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]


def _rounding(value: str, result: str, half: Half) -> list[onnx.NodeProto]:
    """Down to half precision and up again."""
    narrow = f"{result}/{half}"
    return [
        helper.make_node("Cast", [value], [narrow], to=ONNX_TYPES[half]),
        helper.make_node("Cast", [narrow], [result], to=TensorProto.FLOAT),
    ]
