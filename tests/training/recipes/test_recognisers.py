"""Every recogniser's recipe on people who are drawn: it learns, and a killed run ends as one that was not."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

SCRIPT = Path(__file__).with_name("killed_recipes.py")
COMMON = (
    "network=compact-resnet-slim",
    "heldout=none",
    "augmentation=mirror",
    "batch_size=8",
    "epochs=4",
    "optimizer=adam",
    "lr=0.002",
    "warmup_epochs=0",
    "schedule=cosine",
    "precision=32-true",
    "checkpoint_minutes=0",  # after every step
    "log_every=1",
    "threads=1",
)
CASES: dict[str, tuple[str, ...]] = {
    "facenet_triplet": (),
    "center_loss": ("label_smoothing=0.1",),
    "siamese_contrastive": ("verification_head=true", "batch_size=4", "epochs=1"),
    "sphereface": ("lambda_start=20", "sampling=class_aware"),
    "cosface": ("scale=16", "accumulate=2", "frozen_epochs=1", "epochs=6"),
    "arcface": ("scale=16", "margin_rad=0.2", "ema_decay=0.9", "label_smoothing=0.05"),
    "arcface partial_fc": ("scale=16", "margin_rad=0.2", "sampling_rate=0.5", "optimizer=sgd", "lr=0.1"),
    "distil": ("margin_weight=0.1", "precision=bf16-mixed"),
    "adapt joint": ("method=joint", "scale=16", "epochs=2"),
    "adapt mmd": ("method=mmd", "scale=16", "epochs=2"),
    "adapt coral": ("method=coral", "scale=16", "epochs=2"),
    "moco": ("queue_size=24", "key_momentum=0.9"),
}
every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, people: Path, others: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of the runs that this session asks for."""
    folder = tmp_path_factory.mktemp("runs")
    cases = {}
    wanted = {name for name in CASES for item in request.session.items if f"[{name}]" in item.name}
    for name, own in CASES.items():
        if name not in wanted:
            continue
        recipe = name.split()[0]
        places = [f"faces={people}", f"cache={folder / 'cache'}"]
        if recipe == "adapt":
            places.append(f"target={others}")
        dies_at = random.Random(name).randint(2, 6)
        cases[name] = {"recipe": recipe, "knobs": [*COMMON, *places, *own], "dies_at": dies_at}
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def rows_of(run: Path) -> list[dict[str, str]]:
    """The log, without what depends on the machine."""
    with (run / "log.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{name: value for name, value in row.items() if name != "samples_per_second"} for row in rows]


@every_case
def test_the_loss_falls(name: str, runs: Path) -> None:
    losses = [float(row["total"]) for row in rows_of(runs / f"{name}-whole")]
    assert len(losses) >= 12
    assert np.mean(losses[-4:]) < np.mean(losses[2:6])


@every_case
def test_a_killed_run_ends_as_one_that_never_was(name: str, runs: Path) -> None:
    assert rows_of(runs / f"{name}-killed") == rows_of(runs / f"{name}-whole")
    whole, killed = (
        torch.load(runs / f"{name}-{how}" / "best.pt", weights_only=True) for how in ("whole", "killed")
    )
    assert whole.keys() == killed.keys()
    assert len(whole) > 10
    for key, value in whole.items():
        assert torch.equal(value, killed[key]), key
