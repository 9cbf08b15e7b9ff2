"""Mend ONNX graphs as they are found in the wild, so that one kind of session runs them all, and fast.

Each pass looks in the graph for the fault it mends; a graph without any comes back byte for byte.

1. *Blocked quantised weights*: constants behind `DequantizeLinear` with a `block_size`, and a `Reshape`.
   They are unpacked on every call, and keep the convolution from being fused with what follows it. Here
   they are unpacked once, to fp32. Quantisation per tensor or per channel is left alone: kernels run that
   as it is.
2. *PReLU per channel*. ONNX Runtime has no kernel for it in its blocked layout, so each one costs two
   conversions of the layout. With D[k] the depthwise 1x1 convolution that multiplies by k, this is the same
   function for any slope a:

       prelu(x) = relu(x) + D[-a] relu(D[-1] x)

3. *Weights among the inputs*, as IR version 3 wanted. ONNX Runtime treats such weights as replaceable and
   fuses nothing; where the weight itself is gone (a "stale" input) it refuses to run at all. What has a
   value, or is read by no node, is no input.
4. *A batch axis fixed to 1*. It becomes free. A constant `Reshape` to a first length of 1 would pin it
   still, and is refused.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import WeightsError
from vultus.runtime.compiled_files import read_compiled, write_compiled

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto


PASSES: Final = 1  # raise it when a pass makes another graph than before: graphs are kept on disk


def repaired_graph(model: bytes, *, folder: Path) -> bytes:
    """`repair_graph`, kept in a folder for the next start: unpacking a large network takes half a second.

    Raises:
        WeightsError: the bytes are no ONNX graph, or its batch axis cannot be freed.
    """
    path = folder / f"{hashlib.sha256(model).hexdigest()[:32]}-{PASSES}.repaired"
    kept = read_compiled(path)
    if kept is None:
        kept = repair_graph(model)
        write_compiled(path, kept)
    return kept


def repair_graph(model: bytes) -> bytes:
    """The same network as `model`, free of the four faults.

    Raises:
        WeightsError: the bytes are no ONNX graph, or its batch axis cannot be freed.
    """
    proto = read_graph(model)
    before = proto.SerializeToString(deterministic=True)
    for mend in (unpack_blocked_weights, _rewrite_prelu, _drop_what_is_not_read, _free_batch_axis):
        mend(proto.graph)
    proto.ir_version = max(proto.ir_version, 4)  # the first in which weights need not be inputs
    after = proto.SerializeToString(deterministic=True)
    return model if after == before else after


def read_graph(model: bytes) -> "ModelProto":
    """The graph in these bytes.

    Raises:
        WeightsError: there is none.
    """
    import onnx  # here, because not every network is looked into: 0.07 s
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no stubs

    try:
        return onnx.load_model_from_string(model)
    except DecodeError as error:
        raise WeightsError(f"the given {len(model)} bytes are no ONNX graph: {error}") from error


def unpack_blocked_weights(graph: "GraphProto") -> None:
    """Replace the nodes that unpack constants by the unpacked constants."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer}
    unpacked: dict[str, NDArray[Any]] = {}
    kept: list[NodeProto] = []
    for node in graph.node:  # in topological order: a Reshape comes after what it reshapes
        if (
            node.op_type == "DequantizeLinear"
            and _attribute(node, "block_size")
            and all(name in stored for name in node.input)
        ):
            constants = [numpy_helper.to_array(stored[name]) for name in node.input]
            unpacked[node.output[0]] = _dequantised(
                *constants, block_size=_attribute(node, "block_size"), axis=_attribute(node, "axis", 1)
            )
        elif node.op_type == "Reshape" and node.input[0] in unpacked and node.input[1] in stored:
            shape = numpy_helper.to_array(stored[node.input[1]])
            unpacked[node.output[0]] = unpacked[node.input[0]].reshape(shape)
        else:
            kept.append(node)
    _replace(graph.node, kept)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in unpacked.items())


def _dequantised(
    quantised: NDArray[Any],
    scale: NDArray[np.float32],
    zero_point: NDArray[Any] | None = None,
    *,
    block_size: int,
    axis: int,
) -> NDArray[np.float32]:
    """(q - zero_point) * scale, where each scale and zero point serves `block_size` entries along `axis`."""
    weights = quantised.astype(np.float32)
    entries = np.arange(quantised.shape[axis]) // block_size  # which block each entry is in
    if zero_point is not None:
        weights -= zero_point.take(entries, axis=axis)
    weights *= scale.take(entries, axis=axis)
    return weights


def _rewrite_prelu(graph: "GraphProto") -> None:
    """Write each PReLU that has one fp32 slope per channel of an image as convolutions and ReLUs."""
    from onnx import TensorProto, numpy_helper

    slopes = {
        tensor.name: numpy_helper.to_array(tensor).reshape(-1, 1, 1, 1)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT
        and (len(tensor.dims) == 3 or (len(tensor.dims) == 4 and tensor.dims[0] == 1))  # PyTorch writes four
        and tuple(tensor.dims[-2:]) == (1, 1)
    }
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "PRelu" and node.input[1] in slopes:
            rewritten, weights = _prelu_as_convolutions(node, slopes[node.input[1]])
            nodes += rewritten
            graph.initializer.extend(weights)
        else:
            nodes.append(node)
    _replace(graph.node, nodes)


def _prelu_as_convolutions(
    node: "NodeProto", slope: NDArray[np.float32]
) -> tuple[list["NodeProto"], list["TensorProto"]]:
    """The nodes and weights of relu(x) + D[-a] relu(D[-1] x), for a slope of shape (C, 1, 1, 1)."""
    from onnx import helper, numpy_helper

    x, y, channels = node.input[0], node.output[0], len(slope)
    weights = [
        numpy_helper.from_array(np.full_like(slope, -1), f"{y}/minus_one"),
        numpy_helper.from_array(-slope, f"{y}/minus_slope"),
    ]
    nodes = [
        helper.make_node("Relu", [x], [f"{y}/positive"]),
        helper.make_node("Conv", [x, weights[0].name], [f"{y}/mirrored"], group=channels),
        helper.make_node("Relu", [f"{y}/mirrored"], [f"{y}/negative"]),
        helper.make_node("Conv", [f"{y}/negative", weights[1].name], [f"{y}/scaled"], group=channels),
        helper.make_node("Add", [f"{y}/positive", f"{y}/scaled"], [y]),
    ]
    return nodes, weights


def _drop_what_is_not_read(graph: "GraphProto") -> None:
    """Keep the weights that a node reads, and the inputs that a node reads and no weight fills."""
    read = names_read(graph)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])
    filled = {tensor.name for tensor in graph.initializer}
    _replace(graph.input, [each for each in graph.input if each.name in read - filled])


def names_read(graph: "GraphProto") -> set[str]:
    """The names that nodes, branches and loop bodies read, and those that leave the graph."""
    read = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                read |= names_read(inner)
    return read


def _free_batch_axis(graph: "GraphProto") -> None:
    """Let the first axis of inputs and outputs be of any length, where it was 1."""
    shapes_told = [each.type.tensor_type.shape.dim for each in (*graph.input, *graph.output)]
    pinned = [axes[0] for axes in shapes_told if axes and axes[0].dim_value == 1]
    if not pinned:
        return
    shapes = _constant_shapes(graph)
    for node in graph.node:
        if node.op_type == "Reshape" and shapes.get(node.input[1], (0,))[0] == 1:
            raise WeightsError(
                f"the batch axis cannot be freed: the Reshape that gives {node.output[0]!r} fixes it to 1. "
                "Export the network with a dynamic batch axis."
            )
    for axis in pinned:
        axis.dim_param = "batch"
    del graph.value_info[:]  # lengths inferred for a batch of 1


def _constant_shapes(graph: "GraphProto") -> dict[str, tuple[int, ...]]:
    """The integer vectors among the constants: initialisers and Constant nodes."""
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    return {
        name: tuple(numpy_helper.to_array(tensor).tolist())
        for name, tensor in tensors.items()
        if tensor.data_type == TensorProto.INT64 and len(tensor.dims) == 1
    }


def _attribute(node: "NodeProto", name: str, default: int = 0) -> int:
    """An integer attribute of a node."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def _replace(repeated: Any, entries: list[Any]) -> None:
    """Give a repeated field of a protobuf message new entries."""
    del repeated[:]
    repeated.extend(entries)
