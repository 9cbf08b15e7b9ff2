"""MTCNN: three small networks in a cascade, each looking closer at fewer windows.

P-Net proposes: fully convolutional, it scores every 12x12 window at stride 2. R-Net refines: 24x24 crops.
O-Net decides, and finds five landmarks: 48x48 crops.

Input is (N, 3, H, W), RGB, (x - 127.5) / 128. Each network answers raw numbers, in this order:

    logits     (N, 2, ...)   not a face, face. No softmax in here: P(face) = sigmoid(face - not a face)
    offsets    (N, 4, ...)   from the edges x1 y1 x2 y2 of the window to those of the face, in window sides
    landmarks  (N, 10, ...)  x1..x5, then y1..y5, from the window's corner, in window sides

where `...` is P-Net's grid of windows, and nothing for the others. In the public weights only O-Net has
landmarks. P-Net and R-Net take the head, `has_landmarks`, to train on that task as in the paper; detection
does without. Layer names are those of the classic PyTorch ports, so that public state dicts load.

**The layout trap.** The public weights were trained in MATLAB, which stores images column by column. Their
kernels have since been transposed and read upright images, but the first dense layer of R-Net and O-Net still
wants its input flattened column by column, as (W, H, C). Flattened as usual, as (C, H, W), it raises nothing,
misplaces faces and invents others. Hence `Layout`: networks trained here are "row_major"; a state dict
records its layout; one that records none is a public one, and "column_major".

Pools round up (`ceil_mode`), which figure 2 of the paper does not say: rounding down, R-Net would end with
256 features instead of 576.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks.
IEEE Signal Processing Letters 2016. https://arxiv.org/abs/1604.02878
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vultus.errors import MissingExtraError
from vultus.networks.variant import Variant
from vultus.weights import store

Layout: TypeAlias = Literal["row_major", "column_major"]

# The order of the layers in the files of the `mtcnn` distribution: offsets before logits.
_PUBLIC_ORDER: Final = {
    "pnet.lz4": "conv1 prelu1 conv2 prelu2 conv3 prelu3 conv4_2 conv4_1",
    "rnet.lz4": "conv1 prelu1 conv2 prelu2 conv3 prelu3 dense4 prelu4 dense5_2 dense5_1",
    "onet.lz4": (
        "conv1 prelu1 conv2 prelu2 conv3 prelu3 conv4 prelu4 dense5 prelu5 dense6_2 dense6_3 dense6_1"
    ),
}


class PNet(nn.Module):
    """Proposal network: scores every 12x12 window of an image of any size, at stride 2.

    Args:
        has_landmarks: whether to answer landmarks too (training only; no public weights exist).
    """

    def __init__(self, *, has_landmarks: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, kernel_size=3)
        self.prelu1 = ChannelPReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(10, 16, kernel_size=3)
        self.prelu2 = ChannelPReLU(16)
        self.conv3 = nn.Conv2d(16, 32, kernel_size=3)
        self.prelu3 = ChannelPReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, kernel_size=1)
        self.conv4_2 = nn.Conv2d(32, 4, kernel_size=1)
        self.conv4_3 = nn.Conv2d(32, 10, kernel_size=1) if has_landmarks else None
        initialise(self)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits, offsets and perhaps landmarks, (N, 2 | 4 | 10, rows, columns), of (N, 3, H, W)."""
        x = self.pool1(self.prelu1(self.conv1(images)))
        x = self.prelu2(self.conv2(x))
        x = self.prelu3(self.conv3(x))
        answers = (self.conv4_1(x), self.conv4_2(x))
        return answers if self.conv4_3 is None else (*answers, self.conv4_3(x))


class RNet(nn.Module):
    """Refinement network for 24x24 crops.

    Args:
        layout: how the last feature map is flattened; a loaded state dict overrules it.
        has_landmarks: whether to answer landmarks too (training only; no public weights exist).
    """

    def __init__(self, *, layout: Layout = "row_major", has_landmarks: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, kernel_size=3)
        self.prelu1 = ChannelPReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(28, 48, kernel_size=3)
        self.prelu2 = ChannelPReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(48, 64, kernel_size=2)
        self.prelu3 = ChannelPReLU(64)
        self.flatten = LayoutFlatten(layout)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = ChannelPReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)
        self.dense5_3 = nn.Linear(128, 10) if has_landmarks else None
        initialise(self)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Logits, offsets and perhaps landmarks, (N, 2 | 4 | 10), of (N, 3, 24, 24)."""
        x = self.pool1(self.prelu1(self.conv1(crops)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.dense4(self.flatten(x)))
        answers = (self.dense5_1(x), self.dense5_2(x))
        return answers if self.dense5_3 is None else (*answers, self.dense5_3(x))


class ONet(nn.Module):
    """Output network for 48x48 crops; it always answers landmarks.

    Args:
        layout: how the last feature map is flattened; a loaded state dict overrules it.
    """

    def __init__(self, *, layout: Layout = "row_major") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3)
        self.prelu1 = ChannelPReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)
        self.prelu2 = ChannelPReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(64, 64, kernel_size=3)
        self.prelu3 = ChannelPReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4 = nn.Conv2d(64, 128, kernel_size=2)
        self.prelu4 = ChannelPReLU(128)
        self.flatten = LayoutFlatten(layout)
        self.dense5 = nn.Linear(1152, 256)
        self.prelu5 = ChannelPReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)
        initialise(self)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, 2), offsets (N, 4) and landmarks (N, 10) of (N, 3, 48, 48)."""
        x = self.pool1(self.prelu1(self.conv1(crops)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dense5(self.flatten(x)))
        return self.dense6_1(x), self.dense6_2(x), self.dense6_3(x)


class ChannelPReLU(nn.PReLU):
    """PReLU that trains fast on a CPU in bfloat16.

    There PyTorch's own takes as long as all convolutions together: the same written as two ReLUs makes a step
    of R-Net 1.35 times and of O-Net 1.2 times as fast. Everywhere else PyTorch's is the faster one.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) with each negative value times the slope of its channel."""
        if not (self.training and features.dtype == torch.bfloat16 and features.device.type == "cpu"):
            return super().forward(features)
        slopes = self.weight.to(features.dtype).view(-1, *[1] * (features.ndim - 2))
        positive = torch.relu(features)
        return positive + slopes * (features - positive)


class LayoutFlatten(nn.Module):
    """(N, C, H, W) to (N, C * H * W), in the order that the dense layer behind it was trained with.

    The layout travels in the state dict; where a state dict says nothing, it is a public one.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout: Layout = layout
        self.register_load_state_dict_pre_hook(_assume_column_major)  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor) -> Tensor:
        """The features of each row, one after the other."""
        ordered = features if self.layout == "row_major" else features.permute(0, 3, 2, 1)  # (N, W, H, C)
        return ordered.flatten(1)

    def get_extra_state(self) -> Tensor:
        """The layout as a number: a tensor passes through every checkpoint format."""
        return torch.tensor(get_args(Layout).index(self.layout))

    def set_extra_state(self, state: Tensor) -> None:
        """Take over the layout that the state dict records."""
        self.layout = get_args(Layout)[int(state)]


def _assume_column_major(_module: nn.Module, state_dict: dict[str, Any], prefix: str, *_rest: object) -> None:
    """Before loading: a state dict that records no layout is a public one."""
    state_dict.setdefault(f"{prefix}_extra_state", torch.tensor(get_args(Layout).index("column_major")))


def initialise(network: nn.Module) -> None:
    """Xavier weights and zero biases; PReLU slopes keep PyTorch's 0.25. The paper does not say."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def load_public_weights() -> tuple[PNet, RNet, ONet]:
    """The three networks with the public weights (MIT) from the distribution `mtcnn`, in evaluation mode.

    Raises:
        MissingExtraError: joblib or lz4, which read the files, are not installed.
        WeightsError: the distribution `mtcnn` is not installed; the message names the version.
        ChecksumError: its files are not the known ones.
    """
    networks = PNet(), RNet(), ONet()
    for network, (name, layers) in zip(networks, _PUBLIC_ORDER.items(), strict=True):
        arrays = _read_arrays(store.read("mtcnn-lz4", name))
        network.load_state_dict(_state_dict(layers.split(), arrays))
        network.eval()
    return networks


def _read_arrays(data: bytes) -> Sequence[NDArray[np.float32]]:
    """The list of arrays in a joblib file: a pickle, so only of bytes whose hash is known."""
    try:
        import joblib
        import lz4  # noqa: F401  (joblib reads these files only with it)
    except ImportError as error:
        raise MissingExtraError(
            f"reading the public MTCNN weights needs joblib and lz4: pip install joblib lz4 ({error})"
        ) from error
    arrays: list[NDArray[np.float32]] = joblib.load(io.BytesIO(data))
    return arrays


def _state_dict(layers: Sequence[str], arrays: Sequence[NDArray[np.float32]]) -> Mapping[str, Tensor]:
    """The arrays under PyTorch's names, in PyTorch's order of axes."""
    names = [
        f"{layer}.{part}"
        for layer in layers
        for part in (("weight",) if layer.startswith("prelu") else ("weight", "bias"))
    ]
    return {name: _to_torch(name, array) for name, array in zip(names, arrays, strict=True)}


def _to_torch(name: str, array: NDArray[np.float32]) -> Tensor:
    """PReLU slopes as a vector, kernels (H, W, I, O) as (O, I, H, W), dense weights (I, O) as (O, I)."""
    if name.startswith("prelu"):
        array = array.reshape(-1)
    elif array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(array.T if array.ndim == 2 else array))


VARIANTS: Final[Mapping[str, Variant]] = {
    "mtcnn-pnet": Variant(PNet, size_hw=(12, 12)),
    "mtcnn-rnet": Variant(RNet, size_hw=(24, 24)),
    "mtcnn-onet": Variant(ONet, size_hw=(48, 48)),
}
