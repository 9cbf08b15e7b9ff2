"""Make an ONNX file of YOLOv5-Face from the state dict of a training.

    python -m vultus.export.yolov5_face best.pt yolov5n-0.5.onnx --size n-0.5

The graph is the PyTorch module and nothing else: RGB / 255 in, one raw map per stride out. The batch is free,
and so are height and width, in multiples of the largest stride. How to feed and read it stands in the file:
`load_detector("yolov5_face", weights="yolov5n-0.5.onnx")` needs no more. It is written only if ONNX Runtime
answers as PyTorch does.
"""

import hashlib
from pathlib import Path

import torch
import typer

from vultus.export.onnx import Shape, check_parity, to_onnx
from vultus.networks.state import load_state
from vultus.networks.yolov5_face import YOLOv5FaceConfig, YOLOv5FaceNet, yolov5_face
from vultus.weights.description import Preprocessing, Yolov5FaceDecoding
from vultus.weights.metadata import to_metadata


def export_yolov5_face(network: YOLOv5FaceNet) -> bytes:
    """The network as an ONNX file.

    Raises:
        ExportError: PyTorch gives no graph, or it does not answer as PyTorch does.
    """
    strides = network.config.strides
    names = [f"stride_{stride}" for stride in strides]
    shapes = shapes_for(strides[-1])
    free_axes = {
        0: torch.export.Dim("batch"),
        2: strides[-1] * torch.export.Dim("rows"),
        3: strides[-1] * torch.export.Dim("columns"),
    }
    facts = to_metadata(*description_of(network.config))
    data = to_onnx(network, example_shape=shapes[1], free_axes=free_axes, output_names=names, facts=facts)
    check_parity(network, data, shapes=shapes, output_names=names, input_range=(0, 1))
    return data


def shapes_for(stride: int) -> tuple[Shape, ...]:
    """Where the graph is compared with PyTorch: several batches and proportions."""
    return (1, 3, stride, stride), (3, 3, 3 * stride, 2 * stride), (1, 3, 2 * stride, 5 * stride)


def description_of(config: YOLOv5FaceConfig) -> tuple[Preprocessing, Yolov5FaceDecoding]:
    """How a network of this configuration is fed and read, in the words of the catalogue."""
    return (
        Preprocessing(std=(255.0, 255.0, 255.0), interpolation="area"),
        Yolov5FaceDecoding(strides=config.strides, anchors_wh=config.anchors),
    )


def main(state: Path, out: Path, size: str = "n-0.5") -> None:
    """Write OUT from the state dict STATE, and say what the catalogue must record."""
    network = load_state(yolov5_face(size), state, what=f"a YOLOv5-Face of size {size}")
    data = export_yolov5_face(network)
    out.write_bytes(data)
    typer.echo(f'{out.name}: sha256="{hashlib.sha256(data).hexdigest()}", n_bytes={len(data)}')


if __name__ == "__main__":
    typer.run(main)
