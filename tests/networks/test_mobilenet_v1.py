import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vultus.errors import InputError
from vultus.networks.blocks import Activation
from vultus.networks.mobilenet_v1 import MobileNetV1

STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # table 1: the first convolution, then 13 depthwise ones


def table_1(network: MobileNetV1, images: Tensor) -> Tensor:
    """The paper's table 1 with the network's weights, as one plain loop; ReLU, evaluation mode."""
    weights = [value for key, value in network.state_dict().items() if "num_batches" not in key]
    features, strides = images, iter(STRIDES)
    for kernel, gamma, beta, mean, variance in zip(*(iter(weights),) * 5, strict=True):
        is_pointwise = kernel.shape[-1] == 1
        stride = 1 if is_pointwise else next(strides)
        is_depthwise = kernel.shape[1] == 1 and not is_pointwise
        groups = len(kernel) if is_depthwise else 1
        features = F.conv2d(features, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
        features = F.relu(F.batch_norm(features, mean, variance, gamma, beta))
    return features.mean(dim=(2, 3))


def shaken(network: MobileNetV1) -> MobileNetV1:
    """The same network with batch norms that do something."""
    for key, value in network.state_dict().items():
        if "num_batches" not in key and value.ndim == 1:
            value.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("width", [0.25, 0.5, 1.3])
def test_pooled_features_equal_the_papers_table(width: float) -> None:
    torch.manual_seed(0)
    network = shaken(MobileNetV1(width))
    images = torch.randn(2, 3, 70, 65)
    with torch.no_grad():
        torch.testing.assert_close(network(images), table_1(network, images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "parameters", "mega_multiply_adds"),
    [(1.0, 4.2, 569), (0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)],
)
def test_costs_are_those_of_the_paper(width: float, parameters: float, mega_multiply_adds: float) -> None:
    with torch.device("meta"):
        network = MobileNetV1(width, class_count=1000).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 224, 224))
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted / 1e6 == pytest.approx(parameters, abs=0.05)
    assert counter.get_total_flops() / 2e6 == pytest.approx(mega_multiply_adds, abs=1)


@pytest.mark.parametrize("size_hw", [(64, 96), (61, 33), (1, 1)])
def test_the_pyramid_has_strides_8_16_and_32_at_any_size(size_hw: tuple[int, int]) -> None:
    network = MobileNetV1(0.25).eval()
    with torch.no_grad():
        pyramid = network.pyramid(torch.zeros(2, 3, *size_hw))
    expected = [
        (2, channels, math.ceil(size_hw[0] / stride), math.ceil(size_hw[1] / stride))
        for channels, stride in zip(network.pyramid_channels, (8, 16, 32), strict=True)
    ]
    assert [tuple(level.shape) for level in pyramid] == expected
    assert network.pyramid_channels == (64, 128, 256)


def test_keys_are_those_of_the_public_detector_weights() -> None:
    keys = list(MobileNetV1(0.25, activation="leaky_relu").state_dict())
    assert keys[0] == "stage1.0.0.weight"
    assert "stage1.1.3.weight" in keys
    assert keys[-1] == "stage3.1.4.num_batches_tracked"


def test_a_classifier_is_added_on_request() -> None:
    network = MobileNetV1(0.25, class_count=7)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert MobileNetV1(0.25)(torch.zeros(2, 3, 32, 32)).shape == (2, 256)


def test_the_activation_is_a_parameter() -> None:
    images = torch.randn(1, 3, 32, 32)
    activations: tuple[Activation, ...] = ("relu", "relu6", "leaky_relu", "prelu", "hardswish")
    outputs = []
    for activation in activations:
        torch.manual_seed(0)
        outputs.append(MobileNetV1(0.25, activation=activation).eval()(100 * images).tolist())
    assert all(first != second for first, second in combinations(outputs, 2))


@pytest.mark.parametrize("width", [0, -1, float("nan")])
def test_a_width_that_is_not_positive_is_refused(width: float) -> None:
    with pytest.raises(InputError, match="width must be above 0"):
        MobileNetV1(width)
