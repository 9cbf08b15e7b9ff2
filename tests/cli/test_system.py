"""`vultus demo`, `doctor`, `--version`, and what all commands share."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vultus import __version__

Command = Callable[..., Any]


def test_the_version_is_printed(vultus: Command) -> None:
    outcome = vultus("--version")
    assert outcome.out == f"vultus {__version__}\n"


def test_the_demo_finds_a_person_in_a_changed_photo(vultus: Command, tmp_path: Path) -> None:
    outcome = vultus("demo", "--output", tmp_path / "out", "--json")
    assert outcome.code == 0
    answer = json.loads(outcome.out)
    assert [probe["answer"] for probe in answer["probes"]] == ["known", "known", "no_face"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_the_doctor_finds_this_installation_healthy(vultus: Command) -> None:
    outcome = vultus("doctor", "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert report["is_healthy"] is True
    names = [check["name"] for check in report["checks"]]
    assert names == ["weights", "provider", "detection", "embedding"]
    assert all(check["is_ok"] for check in report["checks"])
    assert "CPUExecutionProvider ran" in report["checks"][1]["detail"]
    assert {"mtcnn", "sface-int8bq", "slim-sface-vultus"} <= set(report["facts"]["weights found"])
    assert "onnxruntime" in vultus("doctor").out


def test_the_doctor_does_not_fall_back_to_another_provider(vultus: Command) -> None:
    outcome = vultus("doctor", "--provider", "TensorrtExecutionProvider", "--json")
    assert outcome.code == 1
    report = json.loads(outcome.out)
    assert [check["is_ok"] for check in report["checks"]] == [True, False, False, False]
    assert "TensorrtExecutionProvider" in report["checks"][1]["detail"]


@pytest.mark.parametrize("arguments", [["--help"], ["detect", "--help"], ["gallery", "--help"]])
def test_help_is_shown(vultus: Command, arguments: list[str]) -> None:
    assert "Usage" in vultus(*arguments).out


def test_an_unknown_option_is_a_usage_error(vultus: Command) -> None:
    outcome = vultus("detect", "--no-such-option")
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_the_module_runs_as_a_program(astronaut: Path) -> None:
    command = [sys.executable, "-m", "vultus", "detect", str(astronaut), "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(json.loads(finished.stdout)[0]["faces"]) == 1
