"""A PyTorch network as an ONNX file that answers as PyTorch does.

The graph is the module and nothing else; the same weights give the same bytes, which say nothing about the
machine they were made on. Batch norms are folded into the layers before them, values are named after the
layers that compute them (`vultus.export.layers`), and `vultus.runtime.graph` writes PReLU in the form that
ONNX Runtime runs fast.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
import torch
from torch import nn

from vultus.errors import ExportError
from vultus.export.layers import name_layers
from vultus.export.simplify import simplify
from vultus.runtime.graph import repair_graph
from vultus.runtime.onnx import OnnxSession

Shape: TypeAlias = tuple[int, int, int, int]

MAX_DIFFERENCE: Final = 1e-4  # between ONNX Runtime and PyTorch, in any output of a random input


def to_onnx(
    network: nn.Module,
    *,
    example_shape: Shape,
    free_axes: Mapping[int, Any],
    output_names: Sequence[str],
    facts: Mapping[str, str],
) -> bytes:
    """A network as an ONNX graph with one input, `images`.

    Args:
        network: in evaluation mode.
        example_shape: of an input that it takes; its free axes should be longer than 1.
        free_axes: axis of the input to its `torch.export.Dim` (or an expression of one).
        output_names: in the order of its outputs.
        facts: what the file says about itself.

    Raises:
        ExportError: PyTorch gives no graph.
    """
    with _quiet():
        program = torch.onnx.export(
            network,
            (torch.zeros(example_shape),),
            input_names=["images"],
            output_names=output_names,
            dynamic_shapes=(dict(free_axes),),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ExportError(f"PyTorch exports no graph of {type(network).__name__}")
    exported = program.model_proto
    name_layers(exported, network)
    simplify(exported)
    model = onnx.load_model_from_string(repair_graph(exported.SerializeToString()))
    forget_origin(model)
    onnx.helper.set_model_props(model, dict(facts))
    data: bytes = model.SerializeToString(deterministic=True)
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, PyTorch does not tell what only its developers can mend, nor that torchvision is missing."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)


def forget_origin(model: onnx.ModelProto) -> None:
    """Drop what the exporter noted about this machine, this run, and how it counts."""
    graph = model.graph
    graph.ClearField("value_info")
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for axis in (axis for output in graph.output for axis in output.type.tensor_type.shape.dim):
        if not axis.dim_param.isidentifier():  # a formula of the input's axes
            axis.ClearField("dim_param")
    model.producer_name, model.producer_version = "vultus", ""


def check_parity(
    network: nn.Module,
    model: bytes,
    *,
    shapes: Sequence[Shape],
    output_names: Sequence[str],
    input_range: tuple[float, float] = (-1, 1),
) -> None:
    """Compare a graph with the network it was made from, on random inputs.

    Args:
        network: in evaluation mode.
        model: the graph.
        shapes: of the inputs.
        output_names: of the network's outputs, or of more.
        input_range: least and greatest value of the inputs.

    Raises:
        ExportError: with the output, the shape and the difference.
    """
    session = OnnxSession(model)
    rng = np.random.default_rng(0)
    for shape in shapes:
        batch = rng.uniform(*input_range, shape).astype(np.float32)
        with torch.no_grad():
            expected = [output.numpy() for output in network(torch.from_numpy(batch))]
        names = output_names[: len(expected)]
        for name, ours, theirs in zip(names, session.run(batch), expected, strict=True):
            is_alike = ours.shape == theirs.shape
            difference = float(np.abs(ours - theirs).max()) if is_alike else np.inf
            if not difference <= MAX_DIFFERENCE:
                raise ExportError(
                    f"{name} of {type(network).__name__} for an input of shape {shape}: ONNX Runtime gives "
                    f"{ours.shape}, PyTorch {theirs.shape}, and they differ by {difference:.3g} "
                    f"(at most {MAX_DIFFERENCE} expected)"
                )
