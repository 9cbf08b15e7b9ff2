"""A loss of the faces of all processes learns as one process would learn from the whole batch."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from vultus.training.losses import SoftmaxCenterLoss, TripletLoss
from vultus.training.mining import violating_triplets

RANK = Path(__file__).with_name("gathered_rank.py")
RANKS, N = 2, 12


LOSSES: dict[str, nn.Module] = {
    "center": SoftmaxCenterLoss(4, 5, centre_weight=0.1),
    "triplet": TripletLoss(miner=violating_triplets),
}


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_learn_as_one_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, loss = nn.Linear(6, 4).double(), copy.deepcopy(LOSSES[name]).double()
    inputs, labels = torch.randn(N, 6).double(), torch.arange(N) % 5
    torch.save((network, loss, inputs, labels), tmp_path / "case.pt")
    command = [sys.executable, str(RANK), str(tmp_path)]
    ranks = [subprocess.Popen([*command, str(rank), str(RANKS)]) for rank in range(RANKS)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    optimizer = torch.optim.SGD([*network.parameters(), *loss.parameters()], lr=0.1)
    expected = []
    for _ in range(3):
        optimizer.zero_grad()
        value = loss(network(inputs), labels)
        value.backward()
        optimizer.step()
        expected.append(value.item())
    assert min(expected) > 0
    for rank in range(RANKS):
        losses, *states = torch.load(tmp_path / f"rank-{rank}.pt")
        assert losses == pytest.approx(expected, rel=1e-9)
        for module, state in zip((network, loss), states, strict=True):
            for key, tensor in module.state_dict().items():
                torch.testing.assert_close(state[key], tensor, rtol=1e-9, atol=1e-12)
