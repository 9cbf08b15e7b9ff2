"""Make the ONNX files of MTCNN that come with Vultus, from the public weights.

    python -m vultus.export.mtcnn src/vultus/weights/files

Each graph is the PyTorch module and nothing else: RGB, (x - 127.5) / 128 in; raw logits, offsets and, from
O-Net, landmarks out. The batch axis is free; so are height and width of P-Net. PReLU is written in the form
that ONNX Runtime runs fast (`vultus.runtime.graph`). No file is written unless all answer as PyTorch does.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import onnx
import torch
import typer
from torch import nn

from vultus.errors import ExportError
from vultus.networks.mtcnn import LayoutFlatten, load_public_weights
from vultus.runtime.graph import repair_graph
from vultus.runtime.onnx import OnnxSession

Shape: TypeAlias = tuple[int, int, int, int]

OUTPUTS: Final = ("logits", "offsets", "landmarks")
MAX_DIFFERENCE: Final = 1e-4  # between ONNX Runtime and PyTorch, in any output of a random input

# Where the graphs are compared with PyTorch: several batches, and odd sizes, for the pools that round up.
SHAPES: Final[Mapping[str, Sequence[Shape]]] = {
    "mtcnn_pnet.onnx": ((1, 3, 12, 12), (3, 3, 13, 47), (16, 3, 50, 31), (1, 3, 121, 160)),
    "mtcnn_rnet.onnx": ((1, 3, 24, 24), (3, 3, 24, 24), (16, 3, 24, 24)),
    "mtcnn_onet.onnx": ((1, 3, 48, 48), (3, 3, 48, 48), (16, 3, 48, 48)),
}


def export_mtcnn() -> dict[str, bytes]:
    """The three ONNX files, by name.

    Raises:
        WeightsError, MissingExtraError: the public weights are not here, or cannot be read.
        ExportError: a graph does not answer as PyTorch does.
    """
    files = {}
    for network, (name, shapes) in zip(load_public_weights(), SHAPES.items(), strict=True):
        files[name] = to_onnx(network, example_shape=shapes[1])
        check_parity(network, files[name], shapes=shapes)
    return files


def to_onnx(network: nn.Module, *, example_shape: Shape) -> bytes:
    """A network of the cascade as an ONNX graph that takes any batch, and any size if it is convolutional.

    Raises:
        ExportError: PyTorch gives no graph.
    """
    layouts = [part.layout for part in network.modules() if isinstance(part, LayoutFlatten)]
    axes = {0: torch.export.Dim("batch")}
    if not layouts:
        axes |= {2: torch.export.Dim("height", min=12), 3: torch.export.Dim("width", min=12)}
    example = torch.zeros(example_shape)
    with torch.no_grad():
        count = len(network(example))
    program = torch.onnx.export(
        network,
        (example,),
        input_names=["images"],
        output_names=OUTPUTS[:count],
        dynamic_shapes=(axes,),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ExportError(f"PyTorch exports no graph of {type(network).__name__}")
    model = onnx.load_model_from_string(repair_graph(program.model_proto.SerializeToString()))
    forget_origin(model)
    facts = {
        "input": "RGB, (x - 127.5) / 128",
        "layout": " ".join(layouts) or "fully convolutional",
        "licence": "MIT",
        "source": "the distribution mtcnn 1.0.0",
    }
    onnx.helper.set_model_props(model, facts)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def forget_origin(model: onnx.ModelProto) -> None:
    """Drop what the exporter noted about this machine and this run: the same weights give the same bytes."""
    graph = model.graph
    graph.ClearField("value_info")
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.producer_name, model.producer_version = "vultus", ""


def check_parity(network: nn.Module, model: bytes, *, shapes: Sequence[Shape]) -> None:
    """Compare a graph with the network it was made from, on random inputs of these shapes.

    Raises:
        ExportError: with the output, the shape and the difference.
    """
    session = OnnxSession(model)
    rng = np.random.default_rng(0)
    for shape in shapes:
        batch = rng.uniform(-1, 1, shape).astype(np.float32)
        with torch.no_grad():
            expected = [output.numpy() for output in network(torch.from_numpy(batch))]
        names = OUTPUTS[: len(expected)]
        for name, ours, theirs in zip(names, session.run(batch), expected, strict=True):
            difference = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf
            if not difference <= MAX_DIFFERENCE:
                raise ExportError(
                    f"{name} of {type(network).__name__} for an input of shape {shape}: ONNX Runtime gives "
                    f"{ours.shape}, PyTorch {theirs.shape}, and they differ by {difference:.3g} "
                    f"(at most {MAX_DIFFERENCE} expected)"
                )


def main(folder: Path) -> None:
    """Write the three files into FOLDER, and say what the catalogue must record."""
    for name, data in export_mtcnn().items():
        (folder / name).write_bytes(data)
        typer.echo(f'{name}: sha256="{hashlib.sha256(data).hexdigest()}", n_bytes={len(data)}')


if __name__ == "__main__":
    typer.run(main)
