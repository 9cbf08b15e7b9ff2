"""How much work one run of a network is: multiply-adds, and bytes that must pass through memory.

Counted on the graph, with the shapes that it has for one input: every convolution and matrix product. A
multiply-add counts once, as papers count. Bytes are those of the weights, and of what these operators read
and write; what stands between them (activations, sums, batch norms) is taken to be fused into them, as
runtimes do: the count is a lower bound. In a graph in int8, what a layer reads is counted as it is stored;
what it writes as float32, though it may be rounded at once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vultus.errors import WeightsError

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Shapes = Mapping[str, tuple[int, ...]]

FLOAT_BYTES: Final = 4
_COUNTED: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_WIDENED: Final = ("DequantizeLinear", "Cast")  # weights and maps that are stored in fewer bits


@dataclass(frozen=True, slots=True)
class Work:
    """What must be done.

    Attributes:
        multiply_adds: of convolutions and matrix products.
        weight_bytes: of all weights, at four bytes each; those in 8 bits at one.
        map_bytes: what convolutions and matrix products read and write beside them.
    """

    multiply_adds: float
    weight_bytes: float
    map_bytes: float

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.multiply_adds + other.multiply_adds,
            self.weight_bytes + other.weight_bytes,
            self.map_bytes + other.map_bytes,
        )


NO_WORK: Final = Work(0, 0, 0)


def work_of(model: bytes, input_shape: Sequence[int]) -> Work:
    """The work of one run on an input of this shape.

    Raises:
        WeightsError: the graph's shapes cannot be told.
    """
    import onnx

    proto = onnx.load_model_from_string(model)
    for axis, length in zip(proto.graph.input[0].type.tensor_type.shape.dim, input_shape, strict=True):
        axis.dim_value = length
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    shapes = _shapes(inferred.graph)
    counted = [node for node in inferred.graph.node if node.op_type in _COUNTED]
    unknown = [node.name for node in counted if node.output[0] not in shapes]
    if unknown:
        raise WeightsError(f"the shapes of {len(unknown)} nodes cannot be told, such as {unknown[0]}")
    weights = {tensor.name for tensor in inferred.graph.initializer}
    stored = {node.output[0]: node.input[0] for node in inferred.graph.node if node.op_type in _WIDENED}
    read = [stored.get(name, name) for node in counted for name in node.input[:2]]
    maps = [name for name in (*read, *(node.output[0] for node in counted)) if name not in weights]
    bytes_each = _bytes_each(inferred.graph)
    return Work(
        multiply_adds=sum(_multiply_adds(node, shapes) for node in counted),
        weight_bytes=sum(bytes_each.get(name, FLOAT_BYTES) * math.prod(shapes[name]) for name in weights),
        map_bytes=sum(
            bytes_each.get(name, FLOAT_BYTES) * math.prod(shapes[name]) for name in maps if name in shapes
        ),
    )


def _bytes_each(graph: "GraphProto") -> Mapping[str, int]:
    """Of the tensors in 8 bits; all others are computed in float32, however they are stored."""
    from onnx import TensorProto

    eight_bits = (TensorProto.INT8, TensorProto.UINT8)
    weights = {tensor.name: 1 for tensor in graph.initializer if tensor.data_type in eight_bits}
    return weights | {node.output[0]: 1 for node in graph.node if node.op_type == "QuantizeLinear"}


def _multiply_adds(node: "NodeProto", shapes: Shapes) -> int:
    """Of one node: each number of the output is a sum of so many products."""
    left, right, output = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(right[1:])  # weights (out, in / groups, rows, columns)
    if node.op_type == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])  # weights (in, out / groups, rows, columns)
    is_turned = any(each.name == "transA" and each.i for each in node.attribute)
    return math.prod(output) * (left[0] if is_turned else left[-1])


def _shapes(graph: "GraphProto") -> Shapes:
    """The shape of every tensor whose lengths are all known."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for each in (*graph.input, *graph.value_info, *graph.output):
        axes = each.type.tensor_type.shape.dim
        if each.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            shapes[each.name] = tuple(axis.dim_value for axis in axes)
    return shapes
