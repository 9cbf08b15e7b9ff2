"""Half the bytes: weights stored in fp16, computed with in fp32.

Each large weight becomes fp16 with a Cast to float32 behind it. ONNX Runtime and OpenVINO compute the Cast
once, when they load the file, and run the fp32 network that is left: the same speed as the fp32 file, and
weights that are off by 2^-11 of their value at most. What fp16 cannot hold (above 65,504) stays as it is.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MIN_ENTRIES = 256  # below, a Cast node costs more bytes than it saves
LARGEST = float(np.finfo(np.float16).max)


def store_half(model: onnx.ModelProto) -> None:
    """Store the weights of at least `MIN_ENTRIES` numbers in fp16, but no vectors."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        is_vector = len(tensor.dims) > 0 and set(tensor.dims[1:]) <= {1}  # such as the slopes of a PReLU
        if tensor.data_type != TensorProto.FLOAT or is_vector or int(np.prod(tensor.dims)) < MIN_ENTRIES:
            continue
        values = numpy_helper.to_array(tensor)
        if float(np.abs(values).max()) > LARGEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/fp16"))
        casts.append(helper.make_node("Cast", [f"{name}/fp16"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def widen_stored(model: onnx.ModelProto) -> None:
    """Undo `store_half`: the weights are float32 again, rounded, and no Cast is left."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in stored and _type_of(node) == TensorProto.FLOAT:
            tensor = stored[node.input[0]]
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, node.output[0]))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _type_of(cast: onnx.NodeProto) -> int:
    return next(int(each.i) for each in cast.attribute if each.name == "to")
