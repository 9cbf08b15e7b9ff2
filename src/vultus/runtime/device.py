"""What this machine is: the facts without which no timing and no bug report means anything."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

_VECTOR_UNITS = ("sse4", "avx", "amx", "fma", "f16c", "asimd", "sve")  # the names start with one of these


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that decide speed and, in the last digits, the numbers.

    Attributes:
        cpu: the processor's name.
        cores: how many this process may use.
        vector_units: what NumPy, OpenCV and ONNX Runtime can choose kernels for, such as avx2 or amx_int8.
        system: operating system and version.
        python: version.
        numpy: version.
        opencv: version.
        onnxruntime: version.
        openvino: version; empty where it is not installed.
        providers: execution providers that this build of ONNX Runtime has; whether one runs is another
            question, which `OnnxSession` answers per network.
    """

    cpu: str
    cores: int
    vector_units: tuple[str, ...]
    system: str
    python: str
    numpy: str
    opencv: str
    onnxruntime: str
    openvino: str
    providers: tuple[str, ...]


def machine() -> Machine:
    """The facts about this machine and this Python."""
    cpu, vector_units = processor()
    return Machine(
        cpu=cpu,
        cores=usable_cores(),
        vector_units=vector_units,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        numpy=np.__version__,
        opencv=cv2.__version__,
        onnxruntime=onnxruntime.__version__,
        openvino=_version_of("openvino"),
        providers=tuple(onnxruntime.get_available_providers()),
    )


def _version_of(distribution: str) -> str:
    """What is installed, without importing it; empty where nothing is."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, tuple[str, ...]]:
    """Name and vector units: from Linux' cpuinfo, elsewhere what Python and NumPy know."""
    if not cpuinfo.is_file():
        found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
        return platform.processor() or platform.machine(), tuple(str(unit).lower() for unit in found)
    lines = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines())
    facts = {key.strip().lower(): value.strip() for key, _, value in lines}
    flags = facts.get("flags") or facts.get("features", "")  # "Features" on ARM, which tells no name
    return facts.get("model name") or platform.machine(), tuple(
        flag for flag in flags.split() if flag.startswith(_VECTOR_UNITS)
    )


def usable_cores() -> int:
    """The cores that this process may run on, which containers and taskset make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
