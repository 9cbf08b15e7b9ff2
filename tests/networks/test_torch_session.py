"""A torch module as a session: NumPy in and out, in evaluation mode, and left as it was."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vultus.interfaces import Session
from vultus.networks.retinaface import retinaface
from vultus.networks.torch_session import TorchSession


def test_it_answers_as_the_module_does_in_evaluation_mode() -> None:
    network = retinaface().train()
    batch = np.random.default_rng(0).normal(size=(2, 3, 32, 48)).astype(np.float32)
    session: Session = TorchSession(network)
    answers = session.run(batch)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(batch))
    assert len(answers) == 3
    for answer, value in zip(answers, expected, strict=True):
        assert answer.dtype == np.float32
        np.testing.assert_array_equal(answer, value.numpy())


def test_every_part_is_left_in_its_mode() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2)).train()
    network[0].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    TorchSession(network).run(np.ones((4, 3), np.float32))
    assert [part.training for part in network.modules()] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, batch: Tensor) -> Tensor:
        raise ZeroDivisionError


def test_also_when_it_fails() -> None:
    network = Failing().train()
    with pytest.raises(ZeroDivisionError):
        TorchSession(network).run(np.ones((1, 1), np.float32))
    assert network.training


def test_a_read_only_batch_and_one_output_will_do() -> None:
    batch = np.ones((1, 2), np.float32)
    batch.flags.writeable = False
    answers = TorchSession(nn.Linear(2, 5).to(torch.bfloat16).float()).run(batch)
    assert [answer.shape for answer in answers] == [(1, 5)]


def test_no_graph_is_kept() -> None:
    network = nn.Linear(2, 1)
    TorchSession(network).run(np.ones((1, 2), np.float32))
    assert torch.is_grad_enabled()
    assert network.weight.grad is None
