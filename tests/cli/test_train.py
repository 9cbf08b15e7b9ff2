"""`vultus train`: the knobs, what is refused, and runs that are stopped and go on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vultus.cli.train import RECIPES, load_recipe
from vultus.image import save_image
from vultus.training.knobs import knobs

Command = Callable[..., Any]
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_loaded_and_explains_each_knob(name: str) -> None:
    module, recipe = load_recipe(name)
    assert callable(module.train)
    told = knobs(recipe)
    assert len(told) > 30
    assert [knob.name for knob in told if not knob.meaning.endswith(".")] == []


def test_knobs_are_a_table(vultus: Command) -> None:
    told = vultus("train", "retinaface", "--knobs", "--set", "lr=0.5")
    assert told.code == 0
    lines = told.out.splitlines()
    assert sum(line.startswith("│") for line in lines) > 35
    assert any("anchor_crop_share" in line and "0.5" in line and "face that gets" in line for line in lines)
    assert any("lr" in line and "0.5 (default: 0.002)" in line and "highest" in line for line in lines)
    assert any("teacher " in line and "none" in line for line in lines)
    own, shared = (next(i for i, line in enumerate(lines) if word in line) for word in ("sizes_px", "epochs"))
    assert own < shared


def test_knobs_are_json(vultus: Command) -> None:
    told = json.loads(vultus("train", "retinaface", "--knobs", "--set", "sizes_px=64,96", "--json").out)
    found = {row["name"]: row for row in told}
    assert found["sizes_px"]["value"] == [64, 96]
    assert found["sizes_px"]["default"] == [320]
    assert found["sizes_px"]["kind"] == "whole numbers separated by commas"
    assert found["labels"]["default"].endswith("label.txt")
    assert found["epochs"]["meaning"] == "how often each sample is seen."
    assert (found["sizes_px"]["is_own"], found["epochs"]["is_own"]) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet"], "unknown recipe 'resnet'; there are mtcnn, retinaface"),
        (["retinaface", "--set", "size_px=64"], "RetinaFaceRecipe has no field 'size_px'; there is sizes_px"),
        (["retinaface", "--set", "lr=fast"], "lr must be a number, got 'fast'"),
        (["retinaface"], "name the run's folder: --run runs/NAME"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: Sequence[str], message: str, vultus: Command) -> None:
    told = vultus("train", *arguments)
    assert told.code == 2
    assert message in told.err


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight noisy pictures with a white face each."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    chance = np.random.default_rng(0)
    rows = []
    for number in range(8):
        image = chance.integers(0, 160, (96, 128, 3)).astype(np.uint8)
        x, y = chance.integers((5, 5), (80, 50)).tolist()
        image[y : y + 40, x : x + 32] = 255
        rows += [f"# {number}.png", f"{x} {y} 32 40"]
        save_image(image, folder / "images" / f"{number}.png")
    (folder / "label.txt").write_text("\n".join(rows) + "\n")
    return folder / "label.txt"


def small(labels: Path, run: Path, *, epochs: int) -> list[str]:
    """A command line that trains in seconds."""
    values: dict[str, object] = {"labels": labels, "widerface": "none", "epochs": epochs, "sizes_px": 64}
    values |= {"batch_size": 4, "log_every": 1, "threads": 1}
    told = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return ["vultus", "train", "retinaface", "--run", str(run), *told]


def start(words: Sequence[str]) -> subprocess.Popen[str]:
    """A process in a group of its own, as a terminal makes it."""
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def stopped(process: subprocess.Popen[str], run: Path, *, by: int) -> tuple[int, str]:
    """Wait for three steps, then send the signal to the process and all its children."""
    deadline = time.monotonic() + 200
    try:
        while len(steps(run)) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        os.killpg(process.pid, by)
        told, _ = process.communicate(timeout=100)
    finally:
        process.kill()
    return process.returncode, told


def steps(run: Path) -> list[int]:
    if not (run / "log.csv").exists():
        return []
    with (run / "log.csv").open(newline="") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_a_run_that_is_stopped_saves_and_goes_on(by: int, labels: Path, tmp_path: Path) -> None:
    command = small(labels, tmp_path, epochs=20)
    code, told = stopped(start(command), tmp_path, by=by)
    assert code == 130, told
    done = torch.load(tmp_path / "last.ckpt")["position"]["step"]
    assert done >= 3
    assert f"stopped after step {done}: the same command goes on from there" in told
    assert "Traceback" not in told
    again = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=300, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"going on after step {done}, in epoch" in again.stderr
    assert steps(tmp_path) == list(range(1, 41))
    assert "trained" in again.stdout


@pytest.mark.slow
def test_torchrun_is_stopped_by_ctrl_c_once_though_it_repeats_it(labels: Path, tmp_path: Path) -> None:
    code, told = stopped(start([*TORCHRUN, *small(labels, tmp_path, epochs=200)]), tmp_path, by=signal.SIGINT)
    assert code != 0
    assert "2 processes on cpu with 1 thread, bf16-mixed" in told
    done = torch.load(tmp_path / "last.ckpt")["position"]["step"]
    assert steps(tmp_path) == list(range(1, done + 1))
    assert f"stopped after step {done}" in told
