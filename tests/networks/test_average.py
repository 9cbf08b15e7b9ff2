"""The mean of weights: what it is, and what it refuses."""

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.average import mean_state


def network(seed: int, width: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, width, 1), nn.BatchNorm2d(width))


def test_the_mean_is_each_tensors_mean_and_counters_are_the_firsts() -> None:
    states = [network(seed).state_dict() for seed in range(3)]
    states[0]["1.num_batches_tracked"] = torch.tensor(7)
    mean = mean_state(states)
    assert mean.keys() == states[0].keys()
    for name, tensor in mean.items():
        wanted: Tensor = sum((state[name] for state in states), start=torch.zeros(())) / 3
        torch.testing.assert_close(tensor, wanted if tensor.is_floating_point() else torch.tensor(7))
    assert mean["0.weight"].dtype == torch.float32


def test_the_mean_of_linear_networks_answers_with_the_mean() -> None:
    several = [nn.Linear(4, 2) for _ in range(4)]
    mean = nn.Linear(4, 2)
    mean.load_state_dict(mean_state([each.state_dict() for each in several]))
    x = torch.randn(5, 4)
    torch.testing.assert_close(mean(x), torch.stack([each(x) for each in several]).mean(dim=0))


def test_the_weights_that_were_given_stay_as_they_were() -> None:
    states = [network(seed).state_dict() for seed in range(2)]
    before = [{name: tensor.clone() for name, tensor in state.items()} for state in states]
    for tensor in mean_state(states).values():
        tensor.zero_()
    for state, old in zip(states, before, strict=True):
        for name in state:
            assert torch.equal(state[name], old[name])


def test_one_network_or_two_different_ones_have_no_mean() -> None:
    with pytest.raises(InputError, match="two networks or more"):
        mean_state([network(0).state_dict()])
    with pytest.raises(InputError, match=r"number 2 .* 0.bias is \(4,\), not \(3,\)"):
        mean_state([network(0).state_dict(), network(1, width=4).state_dict()])
    without = {name: tensor for name, tensor in network(1).state_dict().items() if name != "1.weight"}
    with pytest.raises(InputError, match=r"number 3 .* 1.weight is missing, not \(3,\)"):
        mean_state([network(0).state_dict(), network(2).state_dict(), without])
