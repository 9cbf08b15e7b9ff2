"""Detection losses divide by counts. Two processes that share a batch have its loss, and not two others.

The trainer's gradient is the mean of the processes' gradients, so their mean loss must be the batch's.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("shared_losses.py")
NAMES = (
    "multibox",
    "multibox with one face",
    "multibox without faces",
    "anchor imitation",
    "hints",
    "mtcnn",
    "yolov5-face",
)
every_loss = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each rank answered, and one process alone."""
    folder = tmp_path_factory.mktemp("shared")
    done = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name: torch.load(folder / f"{name}.pt") for name in ("rank-0", "rank-1", "alone")}


@every_loss
def test_the_mean_loss_is_that_of_one_process(name: str, told: dict[str, Any]) -> None:
    (first, _), (second, _), (alone, _) = (told[who][name] for who in ("rank-0", "rank-1", "alone"))
    assert (first + second) / 2 == pytest.approx(alone, rel=1e-6)
    assert first != pytest.approx(second, rel=1e-3) or alone == 0, "else the test would show nothing"


@every_loss
def test_the_mean_gradient_is_that_of_one_process(name: str, told: dict[str, Any]) -> None:
    (_, first), (_, second), (_, alone) = (told[who][name] for who in ("rank-0", "rank-1", "alone"))
    torch.testing.assert_close((first + second) / 2, alone, rtol=1e-6, atol=1e-9)
    assert alone.abs().max() > 0 or name == "multibox without faces"


def test_every_case_is_looked_at(told: dict[str, Any]) -> None:
    assert set(told["alone"]) == set(NAMES)
