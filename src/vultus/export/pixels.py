"""Preprocessing inside the graph: it then takes pixels as they are, (N, H, W, 3) uint8 RGB.

The steps and their order are those of `vultus.embed.embedder`, in float32, so that the network sees the very
same numbers:

    Cast to float32,  Transpose to NCHW,  (the channels reversed, if it wants BGR,)  - mean,  / std

The mean is not moved into the first convolution's bias: that would be another function at the border, where
the convolution pads with zeros that mean `mean`, not black.
"""

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ExportError
from vultus.weights.description import Preprocessing

PIXELS = "pixels"


def take_pixels(model: onnx.ModelProto, preprocessing: Preprocessing) -> Preprocessing:
    """Put the preprocessing in front of a graph whose input is (N, 3, H, W) float32.

    Returns:
        How the graph is fed now.

    Raises:
        ExportError: the graph has another input.
    """
    graph = model.graph
    (given,) = graph.input
    axes = list(given.type.tensor_type.shape.dim)
    if len(axes) != 4 or preprocessing.layout != "NCHW" or axes[1].dim_value != 3:
        raise ExportError(
            f"only an input (N, 3, H, W) can take pixels instead; {given.name} has {len(axes)} axes, in "
            f"{preprocessing.layout}"
        )
    shape = [axis.dim_value or axis.dim_param or None for axis in (axes[0], axes[2], axes[3], axes[1])]
    steps, constants = _steps(preprocessing, given.name)
    before = list(graph.node)
    del graph.node[:]
    graph.node.extend([*steps, *before])
    graph.initializer.extend(constants)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, shape))
    black = (0.0, 0.0, 0.0)
    return replace(preprocessing, channels="RGB", mean=black, std=(1.0, 1.0, 1.0), layout="NHWC")


def _steps(how: Preprocessing, target: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes from `PIXELS` to `target`, and their constants."""
    constants = [
        numpy_helper.from_array(np.array(values, np.float32).reshape(1, 3, 1, 1), f"{PIXELS}/{name}")
        for name, values in (("mean", how.mean), ("std", how.std))
    ]
    names = [PIXELS, *(f"{PIXELS}/{step}" for step in ("float", "planes"))]
    nodes = [
        helper.make_node("Cast", [names[0]], [names[1]], to=TensorProto.FLOAT),
        helper.make_node("Transpose", [names[1]], [names[2]], perm=[0, 3, 1, 2]),
    ]
    if how.channels == "BGR":
        constants.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), f"{PIXELS}/bgr"))
        nodes.append(helper.make_node("Gather", [names[-1], f"{PIXELS}/bgr"], [f"{PIXELS}/ordered"], axis=1))
        names.append(f"{PIXELS}/ordered")
    nodes += [
        helper.make_node("Sub", [names[-1], f"{PIXELS}/mean"], [f"{PIXELS}/centred"]),
        helper.make_node("Div", [f"{PIXELS}/centred", f"{PIXELS}/std"], [target]),
    ]
    return nodes, constants
