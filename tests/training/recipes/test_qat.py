"""Fine-tuning for int8: the rounded student nears its float self, and leaves plain weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vultus.errors import InputError
from vultus.image import save_image
from vultus.networks.catalog import NETWORKS
from vultus.networks.state import load_state
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.recipes.qat import QATLearner, QATRecipe, train
from vultus.training.recognition import all_faces, network_of, samples_of
from vultus.training.samples import Draw

TINY = "facenet-mobilenet-v1-x0.25"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four people, six crops of each: blots of colours of their own."""
    rng = np.random.default_rng(0)
    for person in range(4):
        folder = tmp_path / "faces" / f"person{person}"
        folder.mkdir(parents=True)
        blots = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((16, 16, 1)))
        for number in range(6):
            crop = (blots + rng.normal(0, 20, blots.shape)).clip(0, 255).astype(np.uint8)
            save_image(crop, folder / f"{number}.png")
    return tmp_path / "faces"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "start.pt"
    torch.save(NETWORKS[TINY].build().state_dict(), path)
    return path


def recipe(faces: Path, start: Path | None, **knobs: object) -> QATRecipe:
    given: dict[str, object] = {
        "faces": faces,
        "start": start,
        "heldout": None,
        "cache": None,
        "network": TINY,
    }
    return QATRecipe(**(given | {"augmentation": "none"} | knobs))  # type: ignore[arg-type]


def batch_of(how: QATRecipe) -> FaceBatch:
    samples = samples_of(all_faces(how), how)
    return samples.batch([Draw(0, 0, number) for number in range(12)])


def test_the_student_nears_its_float_self_and_norms_keep_their_statistics(faces: Path, start: Path) -> None:
    how = recipe(faces, start)
    learner = QATLearner(network_of(how), how).train()
    means = {name: value.clone() for name, value in learner.network.state_dict().items() if "running" in name}
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], lr=1e-4)
    batch = batch_of(how)
    losses = []
    for _ in range(12):
        loss = learner(batch).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1e-5  # rounding costs something
    assert min(losses[-3:]) < 0.8 * losses[0]
    after = learner.network.state_dict()
    assert len(means) > 20
    assert all(torch.equal(after[name], value) for name, value in means.items())


def test_the_teacher_is_not_learnt_and_not_saved(faces: Path, start: Path) -> None:
    how = recipe(faces, start)
    network = network_of(how)
    count = sum(1 for _ in network.parameters())
    learner = QATLearner(network, how)
    assert sum(1 for _ in learner.parameters()) == count
    norms = [part for part in learner.train().modules() if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_a_run_leaves_weights_that_load_as_any_network_s(faces: Path, start: Path, tmp_path: Path) -> None:
    how = recipe(faces, start, epochs=1, batch_size=12)
    train(how, tmp_path / "run")
    tuned = load_state(NETWORKS[TINY].build(), tmp_path / "run" / "best.pt", what="it").state_dict()
    before = torch.load(start, weights_only=True)
    moved = [key for key in before if not torch.equal(tuned[key], before[key])]
    assert any(key.endswith("weight") for key in moved)
    assert not any("running" in key for key in moved)
    assert train(how, tmp_path / "run") == {}  # a finished run is finished, and its weights stay plain
    load_state(NETWORKS[TINY].build(), tmp_path / "run" / "best.pt", what="it")


def test_what_cannot_work_is_refused(faces: Path, start: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wants a trained network"):
        train(recipe(faces, None), tmp_path / "run")
    with pytest.raises(InputError, match="ema_decay must be none"):
        recipe(faces, start, ema_decay=0.9)
