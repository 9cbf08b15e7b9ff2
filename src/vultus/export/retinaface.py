"""Make an ONNX file of RetinaFace from a state dict: the public one, or that of a training.

    python -m vultus.export.retinaface best.pt retinaface.onnx --channels RGB

The graph is the PyTorch module and nothing else: colours minus their means in; class logits, box deltas and
landmark deltas of every anchor out. Batch, height and width are free. How to feed and read it stands in the
file: `load_detector("retinaface", weights="retinaface.onnx")` needs no more. It is written only if ONNX
Runtime answers as PyTorch does.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import torch
import typer

from vultus.errors import InputError
from vultus.export.onnx import Shape, check_parity, to_onnx
from vultus.geometry.anchors import RETINAFACE_STRIDES, RETINAFACE_VARIANCES
from vultus.networks.retinaface import CONFIGS, RetinaFaceConfig, RetinaFaceNet, load_retinaface
from vultus.weights.description import Preprocessing, RetinaFaceDecoding
from vultus.weights.metadata import to_metadata

Channels: TypeAlias = Literal["RGB", "BGR"]

OUTPUTS: Final = ("class_logits", "box_deltas", "landmark_deltas")
# Where the graph is compared with PyTorch: several batches, and sizes that no stride divides.
SHAPES: Final[tuple[Shape, ...]] = ((1, 3, 1, 1), (3, 3, 33, 97), (1, 3, 64, 96), (1, 3, 301, 157))
INPUT_RANGE: Final = (-125.0, 150.0)  # colours minus their means


def export_retinaface(network: RetinaFaceNet) -> bytes:
    """The network as an ONNX file.

    Raises:
        ExportError: PyTorch gives no graph, or it does not answer as PyTorch does.
    """
    data = to_onnx(
        network,
        example_shape=SHAPES[1],
        free_axes={
            axis: torch.export.Dim(name) for axis, name in ((0, "batch"), (2, "height"), (3, "width"))
        },
        output_names=OUTPUTS,
        facts=to_metadata(*description_of(network.config)),
    )
    check_parity(network, data, shapes=SHAPES, output_names=OUTPUTS, input_range=INPUT_RANGE)
    return data


def description_of(config: RetinaFaceConfig) -> tuple[Preprocessing, RetinaFaceDecoding]:
    """How a network of this configuration is fed and read, in the words of the catalogue."""
    return (
        Preprocessing(channels=config.channel_order, mean=config.channel_means, interpolation="area"),
        RetinaFaceDecoding(
            activation="leaky_relu_0.1" if config.activation == "leaky_relu" else "relu",
            min_sizes=config.min_sizes,
            steps=RETINAFACE_STRIDES,
            variances=RETINAFACE_VARIANCES,
        ),
    )


def configuration(backbone: str, channels: Channels) -> RetinaFaceConfig:
    """That of a backbone, with this order of colours.

    Raises:
        InputError: no such backbone.
    """
    if backbone not in CONFIGS:
        raise InputError(f"unknown backbone {backbone!r}; choose one of {', '.join(CONFIGS)}")
    config = CONFIGS[backbone]
    if config.channel_order == channels:
        return config
    first, second, third = config.channel_means
    return replace(config, channel_order=channels, channel_means=(third, second, first))


def main(
    state: Path,
    out: Path,
    backbone: str = "mobilenet0.25",
    channels: Annotated[Channels, typer.Option(help="The order in which it saw colours.")] = "BGR",
) -> None:
    """Write OUT from the state dict STATE, and say what the catalogue must record."""
    data = export_retinaface(load_retinaface(state, configuration(backbone, channels)))
    out.write_bytes(data)
    typer.echo(f'{out.name}: sha256="{hashlib.sha256(data).hexdigest()}", n_bytes={len(data)}')


if __name__ == "__main__":
    typer.run(main)
