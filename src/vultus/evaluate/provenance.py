"""When, where, with what and by which code a figure was measured."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Self

import vultus

LIBRARIES: Final = (
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
)  # those that decide the numbers


@dataclass(frozen=True, slots=True)
class Provenance:
    """When, where and with what a figure was measured.

    Attributes:
        command: the command line that repeats it.
        date: ISO 8601, UTC.
        machine: system, processor architecture and number of CPUs.
        versions: of Vultus, Python and the libraries that compute.
        commit: of the code, as `commit` tells it; None for an installed package.
    """

    command: str
    date: str
    machine: str
    versions: Mapping[str, str]
    commit: str | None = None

    @classmethod
    def now(cls, command: str) -> Self:
        """This moment, on this machine."""
        return cls(
            command=command,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            versions={"vultus": vultus.__version__, "python": platform.python_version()}
            | _installed(LIBRARIES),
            commit=commit(),
        )


def commit() -> str | None:
    """The commit of this code, with + where files differ from it; None where git does not keep it."""
    folder = Path(vultus.__file__).parent
    try:
        _git(
            folder, "ls-files", "--error-unmatch", "__init__.py"
        )  # not somebody's project around their .venv
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # our own words


def _installed(distributions: Iterable[str]) -> dict[str, str]:
    versions = {}
    for name in distributions:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
