"""The facts about this machine, and how they are read from other machines' files."""

import platform
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from vultus.runtime.device import machine, processor


def test_the_facts_are_those_of_this_python() -> None:
    facts = machine()
    assert facts.python == platform.python_version()
    assert facts.numpy == np.__version__
    assert facts.onnxruntime == onnxruntime.__version__
    assert "CPUExecutionProvider" in facts.providers
    assert facts.cores >= 1
    assert facts.cpu


@pytest.mark.parametrize(
    ("cpuinfo", "name", "units"),
    [
        (
            "processor\t: 0\nmodel name\t: Some Xeon @ 2.0GHz\nflags\t\t: fpu sse4_2 avx2 rdtscp amx_int8\n",
            "Some Xeon @ 2.0GHz",
            ("sse4_2", "avx2", "amx_int8"),
        ),
        ("processor\t: 0\nFeatures\t: fp asimd crc32 sve\n", platform.machine(), ("asimd", "sve")),
        ("", platform.machine(), ()),
    ],
    ids=["x86", "ARM", "empty"],
)
def test_linux_cpuinfo_is_understood(tmp_path: Path, cpuinfo: str, name: str, units: tuple[str, ...]) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo, encoding="utf-8")
    assert processor(path) == (name, units)


def test_without_cpuinfo_numpy_is_asked(tmp_path: Path) -> None:
    name, units = processor(tmp_path / "absent")
    assert name
    assert all(unit == unit.lower() for unit in units)
