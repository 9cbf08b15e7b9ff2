"""Values of a graph named after the layers that compute them: what makes two graphs comparable.

PyTorch's exporter notes at each node which module it came from. The last value of each module without
children gets the module's path as its name (`stages.0.1.first.1`), and keeps it through all that is done to
the graph later: half precision, quantisation. So any descendant of an export can be compared with the
network, layer by layer.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vultus.runtime.onnx import OnnxSession
from vultus.types import FloatArray

NAMESPACE = (
    "namespace"  # ": pkg.Network/stem: torch.nn.Sequential/stem.1: torch.nn.BatchNorm2d/relu: aten.relu"
)


def name_layers(model: onnx.ModelProto, network: nn.Module) -> None:
    """Name the last value of each layer of the network after it. Inputs and outputs keep their names."""
    leaves = {path for path, module in network.named_modules() if path and not list(module.children())}
    fixed = {each.name for each in (*model.graph.input, *model.graph.output)}
    named = {_path_of(node): node.output[0] for node in model.graph.node}  # the last one stays
    renamed = {value: path for path, value in named.items() if path in leaves and value not in fixed}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]


def _path_of(node: onnx.NodeProto) -> str:
    """The path of the innermost module that this node came from; empty for the network itself."""
    notes = {each.key: each.value for each in node.metadata_props}
    modules = notes.get(NAMESPACE, "").split("/")[:-1]  # the last part is the operation
    return modules[-1].partition(": ")[0] if modules else ""


def probe(model: bytes, names: Sequence[str], batch: FloatArray) -> dict[str, FloatArray]:
    """What a graph computes on the way, for those of the names that it has, in its own order.

    Raises:
        WeightsError, ShapeError, DeviceError: it cannot be run.
    """
    proto = onnx.load_model_from_string(model)
    outputs = {each.name for each in proto.graph.output}
    wanted = set(names)
    there = [name for node in proto.graph.node for name in node.output if name in wanted - outputs]
    count = len(proto.graph.output)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in there)
    values = OnnxSession(proto.SerializeToString()).run(batch)[count:]
    return {name: np.asarray(value, np.float32) for name, value in zip(there, values, strict=True)}


@torch.no_grad()
def watch(network: nn.Module, batch: FloatArray) -> dict[str, FloatArray]:
    """What the layers of a network answer on the way, by their paths: those that answer one tensor."""
    seen: dict[str, FloatArray] = {}

    def keep(path: str, answer: object) -> None:
        if isinstance(answer, Tensor):
            seen[path] = answer.float().numpy()

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, answer, path=path: keep(path, answer))
        for path, module in network.named_modules()
        if path and not list(module.children())
    ]
    try:
        network(torch.from_numpy(batch))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def cosines(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """(N,) float64: the cosine between the answers to each input; -1 where they are not comparable.

    Args:
        ours: (N, ...) the answers of one network, of any shape.
        theirs: those of the other.
    """
    if ours.shape != theirs.shape:
        return np.full(max(1, len(ours)), -1.0)
    flat = [np.asarray(each, np.float64).reshape(len(each), -1) for each in (ours, theirs)]
    if not all(np.isfinite(each).all() for each in flat):
        return np.full(len(ours), -1.0)
    lengths = np.linalg.norm(flat[0], axis=1) * np.linalg.norm(flat[1], axis=1)
    products = (flat[0] * flat[1]).sum(axis=1)
    is_same = (flat[0] == flat[1]).all(axis=1)  # two rows of zeros have no angle, and are equal
    return np.where(is_same, 1.0, products / np.where(lengths > 0, lengths, np.inf))


def first_difference(
    ours: Mapping[str, FloatArray], theirs: Mapping[str, FloatArray], *, min_cosine: float
) -> str:
    """In words, the first layer whose answers differ, and the last one before it that agrees.

    Args:
        ours: what the layers of a graph answer, in its order.
        theirs: what they should answer.
        min_cosine: from which answers count as equal.
    """
    before = "the input"
    for name, value in ours.items():
        if name not in theirs:
            continue
        cosine = float(cosines(value, theirs[name]).min())
        if not cosine >= min_cosine:
            return f"the first layer that differs is {name} (cosine {cosine:.6f}), after {before}"
        before = f"{name} ({cosine:.6f})"
    return f"all layers agree up to {before}: the difference is in what follows"
