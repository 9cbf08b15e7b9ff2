"""`vultus benchmark` end to end, at toy size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def test_a_detector_is_measured_and_its_picture_written(vultus: Command, tmp_path: Path) -> None:
    small = ["--rounds", 3, "--batches", "1", "--threads", "1"]
    where = ["--output", tmp_path / "speed", "--json"]
    done = vultus("benchmark", "detector", "--detector", "retinaface", "--runtime", "onnx", *small, *where)
    assert done.code == 0, done
    told = json.loads(done.out)
    assert told["parts"]["runtime"] == "onnx"
    assert told["latency"]["rounds"] == 3
    written = {path.name for path in (tmp_path / "speed").iterdir()}
    assert written == {"benchmark-detector.png", "benchmark-detector.json"}


@pytest.mark.parametrize("batches", ["", "1,x", "0", "1,,2"])
def test_batches_that_are_no_numbers_are_refused(vultus: Command, batches: str) -> None:
    done = vultus("benchmark", "embedder", "--batches", batches)
    assert done.code == 2
    assert "--batches must be whole numbers" in done.err
