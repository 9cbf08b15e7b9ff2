"""A measurement that can be repeated: the figures with the protocol, the model's contract and the command."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from vultus.errors import InputError
from vultus.evaluate.provenance import Provenance

JSON_NAME: Final = "report.json"
MARKDOWN_NAME: Final = "report.md"


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured.

    Attributes:
        title: of the report.
        setting: what was judged: detector, embedder, contract, options.
        command: the command line that repeats the measurement.
    """

    title: str
    setting: Mapping[str, str]
    command: str


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

    @classmethod
    def on(
        cls, subject: Subject, *, protocol: str, figures: Mapping[str, str], details: Mapping[str, Any]
    ) -> Self:
        """The report of a measurement made now, on this machine."""
        return cls(
            title=subject.title,
            protocol=protocol,
            setting=subject.setting,
            figures=figures,
            details=details,
            provenance=Provenance.now(subject.command),
        )

    def to_json(self) -> str:
        """The whole report; NaN is never written, for it is no JSON."""
        return json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False)

    def to_markdown(self) -> str:
        """A page for people."""
        sections = [f"# {self.title}", self.protocol]
        for heading, rows in self.tables().items():
            cells = [["", ""], *([name, str(value)] for name, value in rows.items())]
            sections += [f"## {heading}", markdown_table(cells)]
        sections += [f"![{picture}]({picture})" for picture in self.pictures]
        return "\n\n".join(sections) + "\n"

    def tables(self) -> dict[str, Mapping[str, str]]:
        """Heading -> names and values: figures, setting and provenance."""
        measured = asdict(self.provenance)
        versions = measured.pop("versions")
        measured["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        measured["command"] = f"`{measured['command']}`"
        measured["commit"] = measured["commit"] or "an installed package"
        return {"Figures": self.figures, "Setting": self.setting, "Measured": measured}

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `report.json` and `report.md` into `folder`, which is made if need be; returns both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        json_path, markdown_path = folder / JSON_NAME, folder / MARKDOWN_NAME
        json_path.write_text(self.to_json() + "\n", encoding="utf-8")
        markdown_path.write_text(self.to_markdown(), encoding="utf-8")
        return json_path, markdown_path


def read_report(folder: Path) -> Report:
    """The report that `Report.write` left in a folder.

    Raises:
        InputError: there is none, or the file is no report.
    """
    path = folder / JSON_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        provenance = Provenance(**fields.pop("provenance"))
        pictures = tuple(fields.pop("pictures", ()))
        return Report(**fields, provenance=provenance, pictures=pictures)
    except OSError as error:
        raise InputError(
            f"{folder} holds no report: cannot read {path}: {error.strerror}. Measure with --report {folder}"
        ) from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path} is no report of `vultus evaluate`: {error}") from error


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the headings first, as a table in Markdown."""
    head, *body = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows)
    return "\n".join([f"| {head} |", "|" + "---|" * len(rows[0]), *(f"| {row} |" for row in body)])
