"""Norms that keep their statistics: evaluation mode's answers and gradients, and the network's own keys."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.catalog import NETWORKS
from vultus.networks.frozen_norms import (
    FrozenNorm1d,
    FrozenNorm2d,
    NormedConvolution,
    freeze_norms,
    statistics_of,
)


def used_network(name: str) -> nn.Module:
    """A small network whose norms have seen something."""
    torch.manual_seed(0)
    network = NETWORKS[name].build()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            mean, variance = statistics_of(norm)
            for tensor in (norm.weight.data, variance):
                tensor.uniform_(0.5, 1.5)
            for tensor in (norm.bias.data, mean):
                tensor.normal_(std=0.1)
    return network


@pytest.fixture(params=["slim-sface", "mobilefacenet", "compact-resnet"])
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module]:
    """A network in evaluation mode and its frozen copy, which trains."""
    network = used_network(request.param)
    frozen = deepcopy(network)
    freeze_norms(frozen)
    return network.eval(), frozen.train()


def gradients(network: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    values = network(images)
    loss = nn.functional.normalize(values).square().cumsum(1).sum()
    names, parameters = zip(*network.named_parameters(), strict=True)
    return values, dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def test_training_answers_and_learns_as_evaluation_would(pair: tuple[nn.Module, nn.Module]) -> None:
    network, frozen = (network.double() for network in pair)
    images = torch.rand(2, 3, 112, 112, dtype=torch.float64) * 2 - 1
    values, expected = gradients(network, images)
    answers, found = gradients(frozen, images)
    torch.testing.assert_close(answers, values, rtol=1e-9, atol=1e-9)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert (gradient - expected[name]).norm() <= 1e-9 * expected[name].norm() + 1e-9, name


def test_the_state_is_the_network_s_own_and_its_statistics_stay(pair: tuple[nn.Module, nn.Module]) -> None:
    network, frozen = pair
    frozen(torch.rand(4, 3, 112, 112))
    assert list(frozen.state_dict()) == list(network.state_dict())
    for name, tensor in frozen.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_no_norm_is_left_that_would_learn_statistics(pair: tuple[nn.Module, nn.Module]) -> None:
    _, frozen = pair
    assert not [part for part in frozen.modules() if type(part) in (nn.BatchNorm1d, nn.BatchNorm2d)]
    assert any(isinstance(part, NormedConvolution) for part in frozen.modules())


def test_a_copy_has_its_own_norms(pair: tuple[nn.Module, nn.Module]) -> None:
    _, frozen = pair
    copied = deepcopy(frozen)
    for part in copied.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)
    first = next(part for part in copied.modules() if isinstance(part, NormedConvolution))
    assert not first(torch.rand(1, first.weight.shape[1] * first.groups, 8, 8)).any()


def test_a_convolution_with_a_bias_keeps_its_norm_beside_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.BatchNorm1d(4))
    freeze_norms(network)
    assert [type(part) for part in network] == [nn.Conv2d, FrozenNorm2d, nn.Flatten, FrozenNorm1d]


def test_a_norm_without_statistics_cannot_be_frozen() -> None:
    with pytest.raises(InputError, match="keeps no statistics"):
        freeze_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)))
