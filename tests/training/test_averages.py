"""The moving average against a loop."""

import torch
from torch import Tensor, nn

from vultus.training.averages import averaged


def states(count: int) -> list[dict[str, Tensor]]:
    """What a network with batch norm was after each step."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    generator = torch.Generator().manual_seed(0)
    found = []
    for step in range(count):
        for value in network.state_dict().values():
            value.copy_(torch.rand(value.shape, generator=generator) * 9 + step)
        found.append({key: value.clone() for key, value in network.state_dict().items()})
    return found


def average_of(given: list[dict[str, Tensor]], decay: float) -> dict[str, Tensor]:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = averaged(network, decay)
    for state in given:
        network.load_state_dict(state)
        average.update_parameters(network)
    return average.module.state_dict()


def test_it_is_the_formula_for_weights_and_statistics() -> None:
    given = states(30)
    found = average_of(given, 0.6)  # the growing decay reaches it after 13 steps
    for key in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
        mean = given[0][key].double()
        for count, state in enumerate(given[1:], 1):
            slow = min(0.6, (1 + count) / (10 + count))
            mean = slow * mean + (1 - slow) * state[key].double()
        torch.testing.assert_close(found[key].double(), mean, atol=1e-5, rtol=1e-6)


def test_counters_are_copied() -> None:
    given = states(5)
    assert torch.equal(average_of(given, 0.9)["1.num_batches_tracked"], given[-1]["1.num_batches_tracked"])


def test_the_first_step_is_taken_whole() -> None:
    given = states(1)
    assert all(torch.equal(value, given[0][key]) for key, value in average_of(given, 0.999).items())
