"""A measurement that can be repeated: the figures with the protocol, the model's contract and the command."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import vultus

LIBRARIES = (
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
    """

    command: str
    date: str
    machine: str
    versions: Mapping[str, str]

    @classmethod
    def now(cls, command: str) -> Self:
        """This moment, on this machine."""
        return cls(
            command=command,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            versions={"vultus": vultus.__version__, "python": platform.python_version()}
            | _installed(LIBRARIES),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """One measurement.

    Attributes:
        title: what was measured.
        protocol: the rules, in sentences: folds, thresholds, which face counts, how failures were scored.
        setting: what was judged: detector, embedder, contract, options.
        figures: names and values for people, in reading order.
        details: everything the figures were made from, as JSON values.
        provenance: when, where and with what.
        pictures: file names in the report's folder, to be shown on its page.
    """

    title: str
    protocol: str
    setting: Mapping[str, str]
    figures: Mapping[str, str]
    details: Mapping[str, Any]
    provenance: Provenance
    pictures: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The whole report; NaN is never written, for it is no JSON."""
        return json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False)

    def to_markdown(self) -> str:
        """A page for people."""
        measured = asdict(self.provenance)
        versions = measured.pop("versions")
        measured["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        measured["command"] = f"`{measured['command']}`"
        sections = [f"# {self.title}", self.protocol]
        for heading, rows in (("Figures", self.figures), ("Setting", self.setting), ("Measured", measured)):
            sections += [f"## {heading}", _table(rows)]
        sections += [f"![{picture}]({picture})" for picture in self.pictures]
        return "\n\n".join(sections) + "\n"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `report.json` and `report.md` into `folder`, which is made if need be; returns both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        json_path, markdown_path = folder / "report.json", folder / "report.md"
        json_path.write_text(self.to_json() + "\n", encoding="utf-8")
        markdown_path.write_text(self.to_markdown(), encoding="utf-8")
        return json_path, markdown_path


def _installed(distributions: Iterable[str]) -> dict[str, str]:
    versions = {}
    for name in distributions:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
