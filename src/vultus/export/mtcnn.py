"""Make the ONNX files of MTCNN that come with Vultus, from the public weights.

    python -m vultus.export.mtcnn src/vultus/weights/files

Each graph is the PyTorch module and nothing else: RGB, (x - 127.5) / 128 in; raw logits, offsets and, from
O-Net, landmarks out. The batch axis is free; so are height and width of P-Net. PReLU is written in the form
that ONNX Runtime runs fast (`vultus.runtime.graph`). No file is written unless all answer as PyTorch does.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
import typer
from torch import nn

from vultus.export.onnx import Shape, check_parity, to_onnx
from vultus.networks.mtcnn import LayoutFlatten, load_public_weights

OUTPUTS: Final = ("logits", "offsets", "landmarks")

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
    return {
        name: stage_to_onnx(network, name, source="the distribution mtcnn 1.0.0")
        for network, name in zip(load_public_weights(), SHAPES, strict=True)
    }


def stage_to_onnx(network: nn.Module, name: str, *, source: str) -> bytes:
    """A network of the cascade as an ONNX graph that takes any batch, and any size if it is convolutional.

    Args:
        network: P-Net, R-Net or O-Net, in evaluation mode.
        name: of the file, one of `SHAPES`.
        source: where the weights come from, which the file then says.

    Raises:
        ExportError: PyTorch gives no graph, or it does not answer as PyTorch does.
    """
    layouts = [part.layout for part in network.modules() if isinstance(part, LayoutFlatten)]
    axes = {0: torch.export.Dim("batch")}
    if not layouts:
        axes |= {2: torch.export.Dim("height", min=12), 3: torch.export.Dim("width", min=12)}
    example_shape = SHAPES[name][1]
    with torch.no_grad():
        count = len(network(torch.zeros(example_shape)))
    facts = {
        "input": "RGB, (x - 127.5) / 128",
        "layout": " ".join(layouts) or "fully convolutional",
        "licence": "MIT",
        "source": source,
    }
    data = to_onnx(
        network, example_shape=example_shape, free_axes=axes, output_names=OUTPUTS[:count], facts=facts
    )
    check_parity(network, data, shapes=SHAPES[name], output_names=OUTPUTS)
    return data


def main(folder: Path) -> None:
    """Write the three files into FOLDER, and say what the catalogue must record."""
    for name, data in export_mtcnn().items():
        (folder / name).write_bytes(data)
        typer.echo(f'{name}: sha256="{hashlib.sha256(data).hexdigest()}", n_bytes={len(data)}')


if __name__ == "__main__":
    typer.run(main)
