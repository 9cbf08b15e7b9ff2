"""What is exported: a network with its weights, how it is fed, and what its file says about itself.

One function for each family; `subject_of` chooses by the name in `vultus models`. The families differ in what
is free (embedding networks: the batch; detectors: height and width too) and in the facts that a reader needs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from vultus.embed.embedder import network_input
from vultus.errors import InputError
from vultus.export import retinaface, yolov5_face
from vultus.export.gate import Feed
from vultus.export.mtcnn import OUTPUTS as MTCNN_OUTPUTS
from vultus.export.onnx import to_onnx
from vultus.networks import mtcnn, siamese
from vultus.networks.catalog import NETWORKS
from vultus.networks.retinaface import VARIANTS as RETINAFACES
from vultus.networks.retinaface import RetinaFaceNet
from vultus.networks.sface import read_sface
from vultus.networks.state import load_state, read_state
from vultus.networks.yolov5_face import YOLOv5FaceNet
from vultus.types import Crops, FloatArray
from vultus.weights.description import BoxMargin, FivePoint, Preprocessing
from vultus.weights.exported import EmbeddingFacts, facts_to_metadata
from vultus.weights.metadata import to_metadata
from vultus.weights.store import read

FIVE_POINT_PX: Final = 112
FACENET_MARGIN_PX: Final = 14  # of 160, as the public FaceNets were trained
PUBLIC_SFACE: Final = "sface-int8bq"  # of the two forms, the one that comes with the installation
DETECTOR_HW: Final = (128, 192)  # where detectors are compared: small, and both divisible by every stride
CLASSIFIER: Final = Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3, size_hw=(224, 224))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network that is ready to be exported.

    Attributes:
        name: in `vultus models`.
        network: in evaluation mode, with its weights.
        preprocessing: how pixels become its input.
        gate_hw: the size at which it is compared with PyTorch.
        free_axes: axis of the input to the name it has in the graph, or an expression of `torch.export.Dim`.
        output_names: in the order of its outputs.
        facts: of an embedding network.
        metadata: what the file of another network says about itself.
        is_pair: whether its input is (N, 2, 3, H, W), two images of a pair.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing
    gate_hw: tuple[int, int]
    output_names: Sequence[str]
    free_axes: Mapping[int, Any] = field(default_factory=lambda: {0: torch.export.Dim("batch")})
    facts: EmbeddingFacts | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_pair: bool = False

    def export(self) -> bytes:
        """The network as an ONNX graph that has not passed the gate yet.

        Raises:
            ExportError: PyTorch gives no graph.
        """
        told = self.metadata if self.facts is None else facts_to_metadata(self.facts)
        pair = (2,) if self.is_pair else ()
        shape: Any = (3, *pair, 3, *self.gate_hw)
        return to_onnx(
            self.network,
            example_shape=shape,
            free_axes=self.free_axes,
            output_names=self.output_names,
            facts=told,
        )

    @property
    def feed(self) -> Feed:
        """Makes of crops what the network takes; a pair is a crop and its mirror image."""
        return self._pairs if self.is_pair else self._single

    def _single(self, crops: Crops) -> FloatArray:
        return network_input(crops, self.preprocessing)

    def _pairs(self, crops: Crops) -> FloatArray:
        both = torch.stack([torch.from_numpy(self._single(each)) for each in (crops, crops[:, :, ::-1])], 1)
        pairs: FloatArray = both.numpy()
        return pairs


class PairInput(nn.Module):
    """A Siamese network with one input, (N, 2, 3, H, W), as sessions want."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pairs: Tensor) -> Tensor:
        """(N,) similarities or logits."""
        answer: Tensor = self.network(pairs[:, 0], pairs[:, 1])
        return answer


def subject_of(name: str, network: nn.Module, *, size_px: int | None = None) -> Subject:
    """How a network is exported.

    Args:
        name: in `vultus models`.
        network: that network.
        size_px: the side of the crops that an embedding network sees, where it takes others than usual.

    Raises:
        InputError: no such network.
    """
    network.eval()
    if name not in NETWORKS:
        raise InputError(f"unknown network {name!r}; `vultus models` lists them")
    variant = NETWORKS[name]
    if variant.embedding_size is not None:
        return _embedding(name, network, size_px=size_px)
    if isinstance(network, RetinaFaceNet | YOLOv5FaceNet):
        return _detector(name, network)
    if name in mtcnn.VARIANTS:
        return _mtcnn_stage(name, network)
    if name in siamese.VARIANTS:
        fed = _five_point(variant.pixel_std, FIVE_POINT_PX)
        return Subject(
            name=name,
            network=PairInput(network).eval(),
            preprocessing=fed,
            gate_hw=variant.size_hw,
            output_names=("similarity",),
            metadata={"input": "pairs of aligned crops (N, 2, 3, H, W), RGB, (x - 127.5) / 128"},
            is_pair=True,
        )
    return Subject(
        name=name,
        network=network,
        preprocessing=replace(CLASSIFIER, size_hw=variant.size_hw),
        gate_hw=variant.size_hw,
        output_names=("logits",),
    )


def load_subject(
    what: str, *, weights: Path | None = None, channels: retinaface.Channels | None = None
) -> Subject:
    """A trained network: that of a run's folder, or a name with the state dict of its weights.

    Args:
        what: a folder of `vultus train`, or a name in `vultus models`.
        weights: a state dict; of a run it is best.pt unless another is given, of `sface` the public ones.
        channels: the order in which a RetinaFace saw colours; None: RGB in our runs, BGR in public weights.

    Raises:
        InputError: neither, or a name without weights.
        WeightsError: the weights are not those of this network.
    """
    folder = Path(what)
    if (folder / "recipe.json").is_file():
        name, size_px = network_of_run(folder)
        weights, channels = weights or folder / "best.pt", channels or "RGB"
    else:
        name, size_px = what, None
    if name not in NETWORKS:
        raise InputError(f"{what!r} is neither a run's folder nor a network; `vultus models` lists those")
    if weights is None and name == "sface":
        return subject_of(name, read_sface(read(PUBLIC_SFACE)))
    if weights is None:
        raise InputError(f"{what!r} is a network without weights: name its state dict (--weights best.pt)")
    network = load_state(_built(name, weights, channels), weights, what=f"a {name}")
    return subject_of(name, network, size_px=size_px)


def network_of_run(folder: Path) -> tuple[str, int | None]:
    """The network that a run trained, and the side of its crops if the recipe says it.

    Raises:
        InputError: a run whose recipe names no network.
    """
    told = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    settings = told["settings"]
    size_px = settings.get("size_px")
    if "network" in settings:
        return settings["network"], size_px
    if told["recipe"] == "RetinaFaceRecipe":
        return f"retinaface-{settings['backbone']}", None
    if told["recipe"] == "YOLOv5FaceRecipe":
        return f"yolov5-face-{settings['size']}", None
    raise InputError(
        f"{folder} is a run of {told['recipe']}, whose recipe.json names no single network: export one by "
        "its name, such as `vultus export onnx mtcnn-pnet --weights FOLDER/pnet/best.pt`"
    )


def _built(name: str, weights: Path, channels: retinaface.Channels | None) -> nn.Module:
    """The network, with landmark heads if the weights of an MTCNN stage have them."""
    if name in RETINAFACES:
        return RetinaFaceNet(retinaface.configuration(name.removeprefix("retinaface-"), channels or "BGR"))
    network = NETWORKS[name].build()
    if name not in {"mtcnn-pnet", "mtcnn-rnet"}:
        return network
    state = read_state(weights)
    heads = len([key for key in state if key.endswith(("4_3.weight", "5_3.weight"))])
    return type(network)(has_landmarks=heads > 0) if heads else network


def _embedding(name: str, network: nn.Module, *, size_px: int | None) -> Subject:
    variant = NETWORKS[name]
    side = size_px or variant.size_hw[0]
    fed = _five_point(variant.pixel_std, side)
    if side == 160 and size_px is None:  # FaceNet's own size: its public weights saw boxes with a margin
        fed = replace(
            fed, interpolation="area", alignment=BoxMargin(size_px=side, margin_px=FACENET_MARGIN_PX)
        )
    facts = EmbeddingFacts(
        name=name, architecture=name, preprocessing=fed, embedding_size=variant.embedding_size or 0
    )
    return Subject(
        name=name,
        network=network,
        preprocessing=fed,
        gate_hw=(side, side),
        output_names=("embedding",),
        facts=facts,
    )


def _five_point(std: float, side: int) -> Preprocessing:
    return Preprocessing(
        size_hw=(side, side),
        mean=(127.5,) * 3,
        std=(std,) * 3,
        alignment=FivePoint(size_px=side),
        normalisation="l2",
    )


def _detector(name: str, network: RetinaFaceNet | YOLOv5FaceNet) -> Subject:
    if isinstance(network, RetinaFaceNet):
        facts: Any = retinaface.description_of(network.config)
        outputs: Sequence[str] = retinaface.OUTPUTS
        stride = 1
    else:
        facts = yolov5_face.description_of(network.config)
        outputs = tuple(f"stride_{each}" for each in network.config.strides)
        stride = network.config.strides[-1]
    height, width = (torch.export.Dim(axis) for axis in ("rows", "columns"))
    axes = {0: torch.export.Dim("batch"), 2: stride * height, 3: stride * width} if stride > 1 else None
    return Subject(
        name=name,
        network=network,
        preprocessing=facts[0],
        gate_hw=DETECTOR_HW,
        output_names=outputs,
        free_axes=axes or {0: torch.export.Dim("batch"), 2: height, 3: width},
        metadata=to_metadata(*facts),
    )


def _mtcnn_stage(name: str, network: nn.Module) -> Subject:
    hw = NETWORKS[name].size_hw
    axes: dict[int, Any] = {0: torch.export.Dim("batch")}
    if name == "mtcnn-pnet":
        hw = (48, 64)
        axes |= {2: torch.export.Dim("height", min=12), 3: torch.export.Dim("width", min=12)}
    with torch.no_grad():
        count = len(network(torch.zeros(1, 3, *hw)))
    return Subject(
        name=name,
        network=network,
        preprocessing=Preprocessing(mean=(127.5,) * 3, std=(128.0,) * 3),
        gate_hw=hw,
        output_names=MTCNN_OUTPUTS[:count],
        free_axes=axes,
        metadata={"input": "RGB, (x - 127.5) / 128", "layout": " ".join(layouts_of(network))},
    )


def layouts_of(network: nn.Module) -> list[str]:
    """How an MTCNN stage flattens its last map; "fully convolutional" where it does not."""
    layouts: list[str] = [part.layout for part in network.modules() if isinstance(part, mtcnn.LayoutFlatten)]
    return layouts or ["fully convolutional"]
