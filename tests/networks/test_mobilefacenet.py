"""MobileFaceNet: the paper's table 1, line by line."""

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.blocks import Activation
from vultus.networks.measure import parameter_count
from vultus.networks.mobilefacenet import MobileFaceNet

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "hardswish": nn.Hardswish,
}


def on_meta(**options: object) -> MobileFaceNet:
    with torch.device("meta"):
        return MobileFaceNet(**options).eval()  # type: ignore[arg-type]  # the tests vary every option


@pytest.mark.parametrize(
    ("activation", "embedding_size", "expected"),
    [
        ("prelu", 128, 1_003_136),
        ("prelu", 512, 1_200_512),
        ("relu", 128, 995_584),
        ("relu6", 128, 995_584),
        ("leaky_relu", 128, 995_584),
        ("hardswish", 128, 995_584),
    ],
)
def test_it_has_about_a_million_parameters(activation: str, embedding_size: int, expected: int) -> None:
    network = on_meta(activation=activation, embedding_size=embedding_size)
    assert parameter_count(network) == expected
    if embedding_size == 128:
        assert expected / 1e6 == pytest.approx(0.99, rel=0.02)


def test_with_batch_norms_folded_it_has_the_0_99_million_of_the_paper() -> None:
    layers = [module for module in on_meta().modules() if isinstance(module, nn.Conv2d | nn.PReLU)]
    slopes_and_weights = sum(parameter_count(layer) for layer in layers)
    biases = sum(layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d))
    assert slopes_and_weights + biases == 993_344


def test_the_parameters_are_those_of_table_1() -> None:
    """Counted from the paper's table: every convolution has a batch norm, all but linear ones a PReLU."""

    def conv(weights: int, channels: int, *, is_linear: bool = False) -> int:
        return weights + 2 * channels + (0 if is_linear else channels)

    def bottleneck(channels_in: int, channels: int, expansion: int) -> int:
        inner = channels_in * expansion
        expand, filters = conv(channels_in * inner, inner), conv(9 * inner, inner)
        return expand + filters + conv(inner * channels, channels, is_linear=True)

    total = conv(3 * 9 * 64, 64) + conv(9 * 64, 64)
    total += 5 * bottleneck(64, 64, 2) + bottleneck(64, 128, 4) + 6 * bottleneck(128, 128, 2)
    total += bottleneck(128, 128, 4) + 2 * bottleneck(128, 128, 2)
    total += conv(128 * 512, 512)
    total += conv(7 * 7 * 512, 512, is_linear=True) + conv(512 * 128, 128, is_linear=True)
    assert parameter_count(on_meta()) == total


def test_the_maps_have_the_sizes_of_table_1() -> None:
    network = on_meta()
    maps = network.stem(torch.zeros(1, 3, 112, 112, device="meta"))
    shapes = [tuple(maps.shape[1:])]
    for block in network.bottlenecks:
        maps = block(maps)
        shapes.append(tuple(maps.shape[1:]))
    maps = network.expand(maps)
    assert shapes == [
        (64, 56, 56),
        *[(64, 28, 28)] * 5,
        (128, 14, 14),
        *[(128, 14, 14)] * 6,
        (128, 7, 7),
        *[(128, 7, 7)] * 2,
    ]
    assert tuple(maps.shape[1:]) == (512, 7, 7)
    assert tuple(network.gdconv(maps).shape[1:]) == (512, 1, 1)


def test_a_bottleneck_adds_its_input_only_where_the_shape_stays() -> None:
    torch.manual_seed(0)
    network = MobileFaceNet().eval()
    residual = []
    for block in network.bottlenecks:
        projection = block.get_submodule("layers.2.0")
        projection.state_dict()["weight"].zero_()  # the block's own path answers 0
        maps = torch.randn(1, int(block.get_parameter("layers.0.0.weight").shape[1]), 6, 6)
        with torch.inference_mode():
            out = block(maps)
        if out.shape == maps.shape:
            assert torch.equal(out, maps)
            residual.append(block)
        else:
            assert not out.any()
    assert len(residual) == 4 + 6 + 2


def test_the_global_depthwise_convolution_is_equation_1() -> None:
    torch.manual_seed(1)
    gdconv = MobileFaceNet().gdconv[0]
    maps = torch.randn(2, 512, 7, 7)
    kernel = gdconv.state_dict()["weight"]  # (512, 1, 7, 7)
    with torch.inference_mode():
        actual = gdconv(maps)
    for m in (0, 17, 511):
        by_hand = sum(kernel[m, 0, i, j] * maps[:, m, i, j] for i in range(7) for j in range(7))
        assert isinstance(by_hand, Tensor)
        assert torch.allclose(actual[:, m, 0, 0], by_hand, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_follows_all_but_the_linear_layers(activation: Activation) -> None:
    network = on_meta(activation=activation)
    layers = [module for module in network.modules() if type(module) in ACTIVATIONS.values()]
    assert {type(layer) for layer in layers} == {ACTIVATIONS[activation]}
    assert len(layers) == 2 + 2 * 15 + 1  # stem; expand and filter of 15 bottlenecks; the last 1 x 1
    for block in network.bottlenecks:
        assert isinstance(block.get_submodule("layers.2.2"), nn.Identity)


def test_prelu_has_a_slope_per_channel_from_a_quarter() -> None:
    slopes = [layer.weight for layer in MobileFaceNet().modules() if isinstance(layer, nn.PReLU)]
    assert len(slopes) == 33
    assert sum(len(slope) for slope in slopes) == 7_552
    assert all(torch.equal(slope, torch.full_like(slope, 0.25)) for slope in slopes)


@pytest.mark.parametrize("size_hw", [(112, 96), (113, 97), (128, 128), (64, 33)])
def test_other_crop_sizes_are_built_for(size_hw: tuple[int, int]) -> None:
    network = on_meta(size_hw=size_hw)
    assert network(torch.zeros(2, 3, *size_hw, device="meta")).shape == (2, 128)


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(112, 112\).*\(112, 96\)"):
        on_meta()(torch.zeros(1, 3, 112, 96, device="meta"))


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(InputError, match="'swishh'"):
        on_meta(activation="swishh")


def test_the_output_is_not_normalised() -> None:
    torch.manual_seed(2)
    network = MobileFaceNet().train()
    lengths = network(torch.randn(4, 3, 112, 112)).detach().norm(dim=1)
    assert ((lengths - 1).abs() > 1).all()  # batch norm gives each of 128 numbers variance 1: about 11


def test_the_last_layer_is_a_batch_norm() -> None:
    torch.manual_seed(4)
    raw = MobileFaceNet(size_hw=(48, 48)).train()(torch.randn(16, 3, 48, 48)).detach()
    assert torch.allclose(raw.mean(dim=0), torch.zeros(128), atol=1e-5)
    assert torch.allclose(raw.var(dim=0, unbiased=False), torch.ones(128), atol=1e-2)


def test_convolutions_start_with_hes_variance() -> None:
    torch.manual_seed(3)
    weight = MobileFaceNet().get_parameter("expand.0.weight").detach()  # 512 x 128 x 1 x 1
    assert float(weight.var()) == pytest.approx(2 / 512, rel=0.03)
