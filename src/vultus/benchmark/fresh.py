"""The first result of a new process: seconds from its start, and how much memory it has then.

    python -m vultus.benchmark.fresh '{"kind": "pipeline", "runtime": "onnx"}' < photo.jpg

prints JSON. `measure_start` runs that. What the operating system has cached of the files decides much: the
first of several starts is left out.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vultus.errors import DeviceError

if TYPE_CHECKING:
    from vultus.benchmark.subjects import Parts


@dataclass(frozen=True, slots=True)
class Start:
    """How a process begins.

    Attributes:
        first_result_s: from the start of the process to the first answer.
        loaded_s: until weights and runtime were ready for it.
        resident_mb: the most memory that the process has had, in millions of bytes; 0 where the system
            does not tell.
    """

    first_result_s: float
    loaded_s: float
    resident_mb: float


def measure_start(parts: "Parts", photo: bytes, *, rounds: int = 3) -> Start:
    """The median start of a process that works on one photo.

    Raises:
        DeviceError: the process failed; with what it said.
    """
    from dataclasses import asdict

    starts = []
    for _ in range(rounds + 1):
        began = time.time()
        done = subprocess.run(  # noqa: S603 -- this very Python
            [sys.executable, "-m", "vultus.benchmark.fresh", json.dumps(asdict(parts))],
            input=photo,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise DeviceError(f"a new process failed: {done.stderr.decode(errors='replace')[-500:]}")
        told = json.loads(done.stdout)
        starts.append(Start(told["done"] - began, told["loaded"] - began, told["resident_mb"]))
    return sorted(starts[1:], key=lambda start: start.first_result_s)[rounds // 2]


def resident_mb() -> float:
    """The most memory that this process has had."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Load, work once, tell."""
    from vultus.benchmark.subjects import Parts, prepare

    photo = sys.stdin.buffer.read()
    call = prepare(Parts(**json.loads(sys.argv[1])), [photo], threads=None)
    loaded = time.time()
    call(1)
    sys.stdout.write(json.dumps({"loaded": loaded, "done": time.time(), "resident_mb": resident_mb()}))


if __name__ == "__main__":
    main()
