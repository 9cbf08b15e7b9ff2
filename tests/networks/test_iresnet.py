"""IResNet: insightface's layout, key by key and number by number."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.networks.iresnet import IResNet, SqueezeExcitation
from vultus.networks.measure import parameter_count

INSIGHTFACE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    100: (3, 13, 30, 3),
    200: (6, 26, 60, 6),
}
BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def insightface_keys(depth: int) -> Iterator[str]:
    """The state-dict keys of arcface_torch's iresnet, written down from the public checkpoints."""
    yield "conv1.weight"
    yield from (f"bn1.{part}" for part in BATCH_NORM)
    yield "prelu.weight"
    for stage, count in enumerate(INSIGHTFACE_BLOCKS[depth], start=1):
        for block in range(count):
            prefix = f"layer{stage}.{block}"
            yield from (f"{prefix}.bn1.{part}" for part in BATCH_NORM)
            yield f"{prefix}.conv1.weight"
            yield from (f"{prefix}.bn2.{part}" for part in BATCH_NORM)
            yield f"{prefix}.prelu.weight"
            yield f"{prefix}.conv2.weight"
            yield from (f"{prefix}.bn3.{part}" for part in BATCH_NORM)
            if block == 0:
                yield f"{prefix}.downsample.0.weight"
                yield from (f"{prefix}.downsample.1.{part}" for part in BATCH_NORM)
    yield from (f"bn2.{part}" for part in BATCH_NORM)
    yield "fc.weight"
    yield "fc.bias"
    yield from (f"features.{part}" for part in BATCH_NORM)


@pytest.mark.parametrize("depth", [18, 34, 50, 100, 200])
def test_the_keys_and_their_order_are_those_of_insightface(depth: int) -> None:
    with torch.device("meta"):
        network = IResNet(depth)
    assert list(network.state_dict()) == list(insightface_keys(depth))


@pytest.mark.parametrize(
    ("depth", "params_m"), [(18, 24.02), (34, 34.14), (50, 43.59), (100, 65.15), (200, 118.83)]
)
def test_the_parameter_count_is_the_published_one(depth: int, params_m: float) -> None:
    with torch.device("meta"):
        network = IResNet(depth)
    assert parameter_count(network) / 1e6 == pytest.approx(params_m, abs=0.01)


def by_hand(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """IResNet-18 in evaluation, as plain calls on an insightface state dict."""

    def batch_norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)

    x = F.conv2d(images, state["conv1.weight"], padding=1)
    x = F.prelu(batch_norm(x, "bn1"), state["prelu.weight"])
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            stride = 2 if block == 0 else 1
            y = F.conv2d(batch_norm(x, f"{name}.bn1"), state[f"{name}.conv1.weight"], padding=1)
            y = F.prelu(batch_norm(y, f"{name}.bn2"), state[f"{name}.prelu.weight"])
            y = F.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1)
            y = batch_norm(y, f"{name}.bn3")
            if block == 0:
                x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=2)
                x = batch_norm(x, f"{name}.downsample.1")
            x = x + y
    x = F.linear(batch_norm(x, "bn2").flatten(1), state["fc.weight"], state["fc.bias"])
    return batch_norm(x, "features")


def test_a_state_dict_means_what_it_means_to_insightface() -> None:
    torch.manual_seed(0)
    network = IResNet(18, size_hw=(48, 40))
    for name, value in network.state_dict().items():  # nothing stays 0, 1 or equal to its neighbour
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand_like(value) + (0.5 if "var" in name or "weight" in name else -0.5))
    images = torch.randn(2, 3, 48, 40)
    network.eval()
    with torch.inference_mode():
        expected = by_hand(network.state_dict(), images)
        actual = network(images)
    assert expected.std() > 0.1
    assert torch.allclose(actual, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_the_last_batch_norms_weight_stays_one() -> None:
    torch.manual_seed(1)
    network = IResNet(18, size_hw=(32, 32)).train()
    network.load_state_dict(network.state_dict())
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    bias = network.features.bias.clone()
    network(torch.randn(4, 3, 32, 32)).square().sum().backward()
    optimiser.step()
    assert torch.equal(network.features.weight, torch.ones(512))
    assert not torch.equal(network.features.bias, bias)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    assert frozen == ["features.weight"]


def test_dropout_stands_before_the_last_linear_layer_and_is_0_4() -> None:
    torch.manual_seed(2)
    network = IResNet(18, size_hw=(32, 32))
    assert network.dropout.p == 0.4
    network.dropout.p = 1.0  # everything dropped: the linear layer answers its bias, whatever the image
    fed: list[Tensor] = []
    network.fc.register_forward_pre_hook(lambda _module, inputs: fed.append(inputs[0]))
    network.train()(torch.randn(4, 3, 32, 32))
    assert fed[0].shape == (4, 512 * 2 * 2)
    assert not fed[0].any()
    network.eval()(torch.randn(4, 3, 32, 32))
    assert fed[1].any()


def test_the_maps_halve_four_times_to_7_x_7() -> None:
    with torch.device("meta"):
        network = IResNet(50).eval()
        maps = network.conv1(torch.zeros(1, 3, 112, 112))
        shapes = [tuple(maps.shape[1:])]
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(64, 112, 112), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]


@pytest.mark.parametrize("size_hw", [(112, 96), (113, 97), (128, 128), (33, 17)])
def test_other_crop_sizes_are_built_for(size_hw: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = IResNet(18, size_hw=size_hw).eval()
        assert network(torch.zeros(2, 3, *size_hw)).shape == (2, 512)


def test_crops_of_another_size_are_refused() -> None:
    with torch.device("meta"):
        network = IResNet(18).eval()
        with pytest.raises(ShapeError, match=r"\(112, 112\).*\(160, 160\)"):
            network(torch.zeros(1, 3, 160, 160))


def test_an_unknown_depth_is_refused() -> None:
    with pytest.raises(InputError, match="18, 34, 50, 100, 200, got 101"):
        IResNet(101)


def test_squeeze_and_excitation_is_the_papers_formula() -> None:
    torch.manual_seed(3)
    module = SqueezeExcitation(32).double()
    weights = module.state_dict()
    maps = torch.randn(2, 32, 5, 3, dtype=torch.float64)
    expected = torch.empty_like(maps)
    for n in range(2):
        squeezed = torch.stack([maps[n, c].mean() for c in range(32)])
        hidden = torch.clamp(weights["fc1.weight"][:, :, 0, 0] @ squeezed + weights["fc1.bias"], min=0)
        gate = 1 / (1 + torch.exp(-(weights["fc2.weight"][:, :, 0, 0] @ hidden + weights["fc2.bias"])))
        for c in range(32):
            expected[n, c] = maps[n, c] * gate[c]
    assert module.fc1.weight.shape[0] == 2  # reduction 16
    assert torch.allclose(module(maps), expected, atol=1e-12)


def test_the_squeeze_and_excitation_form_adds_keys_and_changes_none() -> None:
    with torch.device("meta"):
        plain, weighed = IResNet(34).state_dict(), IResNet(34, has_se=True).state_dict()
    added = [name for name in weighed if name not in plain]
    assert list(plain) == [name for name in weighed if name in plain]
    assert len(added) == 4 * 16  # two convolutions with bias in each of 16 blocks
    assert all(".se.fc" in name for name in added)


def test_closed_gates_leave_only_the_shortcuts() -> None:
    torch.manual_seed(4)
    network = IResNet(18, has_se=True, size_hw=(32, 32)).eval()
    gates = [module for module in network.modules() if isinstance(module, SqueezeExcitation)]
    assert len(gates) == 8
    for gate in gates:
        gate.state_dict()["fc2.bias"].fill_(-1e4)  # sigmoid gives 0
        gate.state_dict()["fc2.weight"].zero_()
    maps = torch.randn(1, 64, 32, 32)
    block = network.get_submodule("layer1.0")
    shortcut = network.get_submodule("layer1.0.downsample")
    with torch.inference_mode():
        assert torch.allclose(block(maps), shortcut(maps), atol=1e-6)


def test_convolutions_start_with_standard_deviation_0_1() -> None:
    torch.manual_seed(5)
    weight = IResNet(18, size_hw=(16, 16)).get_parameter("layer4.1.conv2.weight").detach()
    assert float(weight.std()) == pytest.approx(0.1, rel=0.01)
    assert float(weight.mean()) == pytest.approx(0.0, abs=1e-3)
