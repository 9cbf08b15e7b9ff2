"""Findings of a cleaning, for people: a table of all of them, and sheets of pictures to judge them by."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vultus.evaluate.figures import Pictures, new_figure
from vultus.evaluate.report import Report, Subject
from vultus.training.data.alignment_manifest import csv_text, write
from vultus.training.data.findings import CleanSettings, Finding, Kind
from vultus.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROTOCOL: Final = (
    "Embeddings of the middle 112 px of each crop, mirror-averaged. Each crop is compared with its own "
    "person without itself, and with everybody else. A finding is a suspicion: look at it first."
)
FINDINGS: Final = "findings.csv"
PER_SHEET: Final = 10
MOST_SHEETS: Final = 5  # of each kind; findings.csv has all
_ACROSS: Final = 6  # crops in a row of a sheet
_SUSPECTS: Final = 3  # of them at most in question, where there are others to compare them with

ReadCrop = Callable[[int], Image]


def cleaning_report(
    findings: Sequence[Finding], *, n_crops: int, n_people: int, settings: CleanSettings, subject: Subject
) -> Report:
    """How many findings of each kind there are, and how many crops they put in question."""
    counts = Counter(finding.kind for finding in findings)
    crops = Counter[Kind]()
    for finding in findings:
        crops[finding.kind] += len(finding.crops)
    figures = {"crops": f"{n_crops:,} of {n_people:,} people"}
    for kind in Kind:
        people = kind in (Kind.MERGED, Kind.SPLIT)
        figures[str(kind)] = f"{counts[kind]:,}" + ("" if people else f" ({crops[kind]:,} crops)")
    details = {"thresholds": asdict(settings), "findings": {str(kind): counts[kind] for kind in Kind}}
    return Report.on(subject, protocol=PROTOCOL, figures=figures, details=details)


def write_findings(folder: Path, findings: Sequence[Finding], files: Sequence[str]) -> Path:
    """Write `findings.csv`: a row for each crop in question; returns its path.

    Args:
        folder: made if need be.
        findings: in the order of the sheets.
        files: (N,) what each crop is called.
    """
    rows: list[Sequence[object]] = [("finding", "kind", "file", "similarity", "note", "compare_with")]
    for number, finding in enumerate(findings, start=1):
        beside = files[finding.beside[0]] if finding.beside else ""
        rows += [
            (number, str(finding.kind), files[row], f"{finding.similarity:.4f}", finding.note, beside)
            for row in finding.crops
        ]
    write(folder / FINDINGS, csv_text(rows))
    return folder / FINDINGS


def cleaning_pictures(findings: Sequence[Finding], crop: ReadCrop) -> Pictures:
    """A sheet for every ten findings of a kind: in red what is in question, beside it others to compare."""
    sheets: dict[str, Callable[[], Figure]] = {}
    numbered = list(enumerate(findings, start=1))
    for kind in Kind:
        of_kind = [(number, finding) for number, finding in numbered if finding.kind == kind]
        for sheet in range(min(MOST_SHEETS, -(-len(of_kind) // PER_SHEET))):
            part = of_kind[sheet * PER_SHEET : (sheet + 1) * PER_SHEET]
            name = f"{kind.replace(' ', '-')}-{sheet + 1}.png"
            sheets[name] = partial(contact_sheet, part, crop, title=str(kind))
    return sheets


def contact_sheet(findings: Sequence[tuple[int, Finding]], crop: ReadCrop, *, title: str) -> "Figure":
    """A row of crops for each numbered finding, its note above it.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title, width=1.2 * _ACROSS, height=1.45 * len(findings) + 0.5)
    axes = figure.subplots(len(findings), _ACROSS, squeeze=False)
    for row, (number, finding) in zip(axes, findings, strict=True):
        n_suspects = min(len(finding.crops), _SUSPECTS if finding.beside else _ACROSS)
        shown = [*finding.crops[:n_suspects], *finding.beside][:_ACROSS]
        for cell in row:
            cell.set_axis_off()
        for place, (cell, index) in enumerate(zip(row, shown, strict=False)):
            picture = crop(index)
            cell.imshow(picture)
            if place < n_suspects:
                height, width = picture.shape[:2]
                cell.plot([0, width, width, 0, 0], [0, 0, height, height, 0], color="#D00000", linewidth=3)
        row[0].set_title(f"{number}. {finding.note}", fontsize=7, loc="left")
    return figure
