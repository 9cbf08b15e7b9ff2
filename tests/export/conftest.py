"""A network of four layers with everything that exports stumble over, exported once for all tests."""

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from vultus.export.subjects import Subject
from vultus.networks.blocks import conv_bn_act
from vultus.weights.description import FivePoint, Preprocessing
from vultus.weights.exported import EmbeddingFacts

SIZE_PX = 32
FED = Preprocessing(
    size_hw=(SIZE_PX, SIZE_PX),
    channels="BGR",
    mean=(104.0, 117.0, 123.0),
    std=(127.5, 127.5, 128.0),
    alignment=FivePoint(size_px=SIZE_PX),
    normalisation="l2",
)


class Toy(nn.Module):
    """Convolutions with PReLU and ReLU, and batch norms before and behind the flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn_act(3, 8, stride=4, activation="prelu")
        self.body = conv_bn_act(8, 16, stride=2, activation="relu")
        self.pooled = nn.Conv2d(16, 16, 4, groups=16, bias=False)
        self.project = nn.Conv2d(16, 32, 1, bias=False)
        self.bn = nn.BatchNorm1d(32)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 32) of (N, 3, 32, 32)."""
        answer: Tensor = self.bn(self.project(self.pooled(self.body(self.stem(images)))).flatten(1))
        return answer


def trained_looking(network: nn.Module) -> nn.Module:
    """Statistics, slopes and scales as training leaves them: all different."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.4)
    return network.eval()


@pytest.fixture(scope="session")
def toy() -> Subject:
    """The network, which wants BGR and uneven scales."""
    torch.manual_seed(1)
    return Subject(
        name="toy",
        network=trained_looking(Toy()),
        preprocessing=FED,
        gate_hw=(SIZE_PX, SIZE_PX),
        output_names=("embedding",),
        facts=EmbeddingFacts("toy", "a toy", FED, 32),
    )


@pytest.fixture(scope="session")
def graph(toy: Subject) -> bytes:
    """Its export, not yet through the gate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        return toy.export()


@pytest.fixture
def quiet_exporter() -> Iterator[None]:
    """Deprecations inside the exporter are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
