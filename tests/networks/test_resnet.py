import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vultus.errors import InputError
from vultus.networks.resnet import ResNet

# Stages of blocks, by depth: table 1 of the paper.
TABLE_1 = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def table_1(network: ResNet, depth: int, images: Tensor) -> Tensor:
    """The paper's network with the weights under torchvision's names, as plain loops; evaluation mode."""
    state = network.state_dict()

    def conv_bn(features: Tensor, conv: str, norm: str, stride: int) -> Tensor:
        kernel = state[f"{conv}.weight"]
        features = F.conv2d(features, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(features, *parts)

    features = F.max_pool2d(F.relu(conv_bn(images, "conv1", "bn1", 2)), 3, 2, 1)
    for stage, count in enumerate(TABLE_1[depth], start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            halving = 2 if stage > 1 and block == 0 else 1
            strides = (halving, 1) if depth < 50 else (1, halving, 1)
            shortcut, residual = features, features
            for number, stride in enumerate(strides, start=1):
                residual = conv_bn(residual, f"{name}.conv{number}", f"{name}.bn{number}", stride)
                residual = F.relu(residual) if number < len(strides) else residual
            if f"{name}.downsample.0.weight" in state:
                shortcut = conv_bn(features, f"{name}.downsample.0", f"{name}.downsample.1", halving)
            features = F.relu(residual + shortcut)
    return features.mean(dim=(2, 3))


@pytest.mark.parametrize("depth", TABLE_1)
def test_pooled_features_equal_the_papers_table(depth: int) -> None:
    torch.manual_seed(0)
    network = ResNet(depth).eval()
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(1, 2)  # batch norms that do something
    images = torch.randn(1, 3, 70, 65)
    with torch.no_grad():
        torch.testing.assert_close(network(images), table_1(network, depth, images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("depth", "parameters", "entries"),
    [(18, 11_689_512, 122), (34, 21_797_672, 218), (50, 25_557_032, 320)],
)
def test_the_state_dict_is_as_large_as_torchvisions(depth: int, parameters: int, entries: int) -> None:
    with torch.device("meta"):
        network = ResNet(depth, class_count=1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == entries


def test_keys_are_torchvisions() -> None:
    keys = set(ResNet(50, class_count=1000).state_dict())
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight",
        "layer4.2.bn3.bias",
        "fc.weight",
        "fc.bias",
    } <= keys
    assert "layer1.1.downsample.0.weight" not in keys


def test_imagenet_weights_without_classifier_load_into_a_trunk() -> None:
    state = ResNet(18, class_count=1000).state_dict()
    trunk = ResNet(18)
    trunk.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
    torch.testing.assert_close(trunk.state_dict(), {key: state[key] for key in trunk.state_dict()})


@pytest.mark.parametrize(("depth", "giga_multiply_adds"), [(18, 1.8), (34, 3.6), (50, 3.8 + 0.231)])
def test_costs_are_those_of_the_paper(depth: int, giga_multiply_adds: float) -> None:
    """ResNet-50 has its strides in the 3 x 3 convolutions: three 1 x 1 see twice the side (0.231 G)."""
    with torch.device("meta"):
        network = ResNet(depth, class_count=1000).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga_multiply_adds, rel=0.02)


@pytest.mark.parametrize("size_hw", [(64, 96), (61, 33), (1, 1)])
@pytest.mark.parametrize(("depth", "channels"), [(18, (128, 256, 512)), (50, (512, 1024, 2048))])
def test_the_pyramid_has_strides_8_16_and_32_at_any_size(
    size_hw: tuple[int, int], depth: int, channels: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        network = ResNet(depth).eval()
        pyramid = network.pyramid(torch.zeros(2, 3, *size_hw))
    assert network.pyramid_channels == channels
    assert [tuple(level.shape) for level in pyramid] == [
        (2, width, math.ceil(size_hw[0] / stride), math.ceil(size_hw[1] / stride))
        for width, stride in zip(channels, (8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("depth", [0, 101])
def test_another_depth_is_refused(depth: int) -> None:
    with pytest.raises(InputError, match="depth must be one of 18, 34, 50"):
        ResNet(depth)


def test_gradients_reach_every_parameter_of_a_bottleneck_network() -> None:
    network = ResNet(50, class_count=2)
    network(torch.randn(2, 3, 64, 64)).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
