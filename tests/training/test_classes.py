"""Class losses: the network stands still as long as it is told to, and drops as much as it is told to."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.classes import ClassLearner, ClassSettings, frozen_batches, set_dropout, train_classes
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.losses.cosface import CosFaceLoss
from vultus.training.samples import shuffled

SETTINGS = ClassSettings(network="facenet-mobilenet-v1-x0.25", heldout=None, cache=None)


class Tiny(nn.Module):
    """Convolution, batch norm, dropout, average."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2))

    def forward(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.layers(images).mean(dim=(2, 3))
        return pooled


@pytest.fixture
def batch() -> FaceBatch:
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8, generator=torch.manual_seed(0))
    return FaceBatch(images, torch.arange(6) % 2, torch.arange(6))


def state_of(module: nn.Module) -> Mapping[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_a_frozen_network_stands_still_and_its_classes_learn(batch: FaceBatch) -> None:
    loss = CosFaceLoss(4, 2)
    learner = ClassLearner(Tiny(), loss, SETTINGS, frozen_batches=2).train()
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    before, classes = state_of(learner.network), loss.weight.detach().clone()
    for frozen in (True, True, False):
        optimizer.zero_grad()
        learner(batch).total.backward()
        optimizer.step()
        now = state_of(learner.network)
        assert all(torch.equal(now[name], before[name]) for name in now) == frozen
        assert not torch.equal(loss.weight, classes)
    assert learner.batches == 3
    assert learner.network.training


def test_how_long_it_stands_still_is_part_of_the_state(batch: FaceBatch) -> None:
    learner = ClassLearner(Tiny(), CosFaceLoss(4, 2), SETTINGS, frozen_batches=2)
    learner(batch)
    other = ClassLearner(Tiny(), CosFaceLoss(4, 2), SETTINGS, frozen_batches=2)
    other.load_state_dict(learner.state_dict())
    assert other.batches == 1


def test_epochs_are_counted_in_batches() -> None:
    settings = ClassSettings(frozen_epochs=3)
    assert frozen_batches(settings, shuffled(10, 4, seed=0)) == 9
    with pytest.raises(InputError, match="frozen_epochs works in one process only"):
        frozen_batches(ClassSettings(frozen_epochs=3, devices=2), shuffled(10, 4, seed=0))
    with pytest.raises(InputError, match="frozen_epochs"):
        frozen_batches(ClassSettings(frozen_epochs=-1), shuffled(10, 4, seed=0))


def test_dropout_is_set_where_there_is_some() -> None:
    network = Tiny()
    set_dropout(network, 0.4)
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.4]
    set_dropout(nn.Linear(2, 2), 0.4)
    with pytest.raises(InputError, match=r"dropout must lie in \[0, 1\), got 1"):
        set_dropout(network, 1.0)


def test_one_person_cannot_be_told_apart(people: Path, tmp_path: Path) -> None:
    settings = ClassSettings(faces=people, people=1, network=SETTINGS.network, heldout=None, cache=None)
    with pytest.raises(InputError, match="at least two"):
        train_classes(settings, tmp_path / "run", CosFaceLoss)
