import math

import pytest
import torch
from torch import nn

from vultus.errors import InputError
from vultus.networks.blocks import (
    LAYERS,
    Activation,
    GlobalDepthwise,
    StridedDepthwise,
    activation_layer,
    conv_bn_act,
    init_he_normal,
)

AT_MINUS_TWO: dict[Activation, float] = {
    "relu": 0,
    "relu6": 0,
    "leaky_relu": -0.2,
    "prelu": -0.5,
    "silu": -2 / (1 + math.exp(2)),
    "hardswish": -2 * (-2 + 3) / 6,
    "none": -2,
}


@pytest.mark.parametrize(("name", "expected"), AT_MINUS_TWO.items())
def test_an_activation_has_its_formula_value_at_minus_two(name: Activation, expected: float) -> None:
    values = activation_layer(name, 3)(torch.full((1, 3, 1, 1), -2.0))
    torch.testing.assert_close(values, torch.full((1, 3, 1, 1), float(expected)))


def test_every_activation_is_tried() -> None:
    assert set(AT_MINUS_TWO) == set(LAYERS)


def test_prelu_has_a_slope_per_channel() -> None:
    assert [slope.shape for slope in activation_layer("prelu", 5).parameters()] == [(5,)]


def test_an_unknown_activation_is_refused_with_the_choices() -> None:
    with pytest.raises(InputError, match="unknown activation 'mish'; choose one of relu, relu6"):
        activation_layer("mish", 3)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8])
def test_a_side_of_n_pixels_becomes_n_over_stride_rounded_up(kernel: int, stride: int, side: int) -> None:
    block = conv_bn_act(3, 4, kernel=kernel, stride=stride)
    assert block(torch.zeros(1, 3, side, side)).shape[-2:] == (math.ceil(side / stride),) * 2


def test_the_convolution_has_no_bias_as_batch_norm_has_one() -> None:
    keys = list(conv_bn_act(3, 4).state_dict())
    assert keys[:3] == ["0.weight", "1.weight", "1.bias"]


def test_groups_make_a_depthwise_convolution() -> None:
    assert conv_bn_act(8, 8, groups=8)[0].weight.shape == (8, 1, 3, 3)


def test_one_weight_per_position_is_the_same_convolution_with_the_same_gradients_while_it_trains() -> None:
    torch.manual_seed(0)
    layer, maps = GlobalDepthwise(6, (4, 3)), torch.randn(2, 6, 4, 3, requires_grad=True)
    plain = nn.functional.conv2d(maps, layer.weight, groups=6)
    expected = torch.autograd.grad(plain.square().sum(), [maps, layer.weight])
    for is_training in (True, False):
        values = layer.train(is_training)(maps)
        torch.testing.assert_close(values, plain)
        torch.testing.assert_close(torch.autograd.grad(values.square().sum(), [maps, layer.weight]), expected)


def test_a_depthwise_stride_trains_in_float_under_autocast_and_is_a_plain_convolution_otherwise() -> None:
    torch.manual_seed(0)
    layer, maps = conv_bn_act(6, 6, stride=2, groups=6)[0], torch.randn(2, 6, 7, 5, requires_grad=True)
    assert isinstance(layer, StridedDepthwise)
    plain = nn.functional.conv2d(maps, layer.weight, stride=2, padding=1, groups=6)
    expected = torch.autograd.grad(plain.square().sum(), [maps, layer.weight])
    values = layer(maps)
    torch.testing.assert_close(values, plain)
    torch.testing.assert_close(torch.autograd.grad(values.square().sum(), [maps, layer.weight]), expected)
    half = maps.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        trained, used = layer(half), layer.eval()(half)
    assert trained.dtype == used.dtype == torch.bfloat16
    in_float = nn.functional.conv2d(half.float(), layer.weight, stride=2, padding=1, groups=6)
    torch.testing.assert_close(trained, in_float.bfloat16())
    torch.testing.assert_close(used, in_float.bfloat16(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(("groups", "fan_out"), [(1, 128 * 9), (64, 2 * 9)])
def test_initialisation_has_the_spread_of_he(groups: int, fan_out: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(64, 128, 3, groups=groups)
    init_he_normal(convolution)
    weight, bias = convolution.parameters()
    assert weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
    assert weight.mean().item() == pytest.approx(0, abs=0.1 * math.sqrt(2 / fan_out))
    assert not bias.any()


def test_initialisation_makes_batch_norm_the_identity() -> None:
    norm = nn.BatchNorm2d(8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    init_he_normal(norm)
    assert torch.equal(norm.weight, torch.ones(8))
    assert torch.equal(norm.bias, torch.zeros(8))


def test_a_signal_keeps_its_size_through_many_depthwise_layers() -> None:
    torch.manual_seed(0)
    layers = [conv_bn_act(32, 32, groups=groups) for _ in range(8) for groups in (32, 1)]
    network = nn.Sequential(*layers).eval()
    init_he_normal(network)
    signal = network(torch.randn(1, 32, 16, 16))
    assert 0.1 < signal.square().mean() < 10
