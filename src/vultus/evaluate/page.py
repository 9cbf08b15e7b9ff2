"""One page of several reports: what was measured, side by side where it is the same, with protocol and plots.

`index.md` shows pictures that lie beside it, in a folder per report; `index.html` carries them inside: one
file that can be sent.
"""

import base64
import html
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from vultus.errors import InputError
from vultus.evaluate.report import Report, markdown_table, read_report

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 3rem; border-top: 1px solid #8884; padding-top: 1.5rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
th, td { border-bottom: 1px solid #8883; }
td { overflow-wrap: anywhere; } .protocol { opacity: .8; } summary { cursor: pointer; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } .plots img { max-width: 100%; background: white; }
@media (min-width: 60rem) { .plots img { max-width: 49%; } }
"""

Table = list[list[str]]  # rows of cells, the headings first


class Entry(NamedTuple):
    """A report and where it came from.

    Attributes:
        report: as read.
        folder: that holds it and its pictures.
        anchor: of its section, a name of its own on the page.
    """

    report: Report
    folder: Path
    anchor: str


def write_page(folders: Sequence[Path], target: Path, *, title: str = "Evaluation") -> tuple[Path, Path]:
    """Write `index.md`, with its pictures, and `index.html` into `target`; returns both paths.

    Args:
        folders: each holds a report.json.
        target: made if need be.
        title: of the page.

    Raises:
        InputError: no folders, one without a report, or a report whose picture is missing.
    """
    if not folders:
        raise InputError("name at least one folder that holds a report.json")
    entries = read_entries(folders)
    target.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        for picture in _pictures(entry):
            (target / entry.anchor).mkdir(exist_ok=True)
            shutil.copyfile(picture, target / entry.anchor / picture.name)
    markdown_path, html_path = target / "index.md", target / "index.html"
    markdown_path.write_text(_markdown(entries, title), encoding="utf-8")
    html_path.write_text(_html(entries, title), encoding="utf-8")
    return markdown_path, html_path


def read_entries(folders: Sequence[Path]) -> list[Entry]:
    """The reports in these folders.

    Raises:
        InputError: a folder without a report.
    """
    entries = []
    for number, folder in enumerate(folders, start=1):
        report = read_report(folder)
        words = re.sub(r"[^a-z0-9]+", "-", report.title.lower()).strip("-")
        entries.append(Entry(report, folder, f"{number:02d}-{words}"))
    return entries


def overview(entries: Sequence[Entry]) -> Table:
    """A row per report: title, model, contract, headline, date and commit."""
    rows = [["report", "embedder or detector", "contract", "first figures", "date", "commit"]]
    for report, _, _ in entries:
        model = report.setting.get("embedder") or report.setting.get("detector", "")
        rows.append(
            [
                report.title,
                model,
                report.setting.get("contract", ""),
                "; ".join(f"{name}: {value}" for name, value in _headline(report)),
                report.provenance.date[:10],
                _short(report.provenance.commit or ""),
            ]
        )
    return rows


def comparisons(entries: Sequence[Entry]) -> dict[str, Table]:
    """Title -> figures side by side, where several reports have one title and one protocol."""
    together: dict[tuple[str, str], list[Report]] = {}
    for report, _, _ in entries:
        together.setdefault((report.title, report.protocol), []).append(report)
    return {title: _side_by_side(reports) for (title, _), reports in together.items() if len(reports) > 1}


def _headline(report: Report) -> list[tuple[str, str]]:
    """The figures that are rates, two of them: counts of pairs and images come first in a report."""
    rates = [(name, value) for name, value in report.figures.items() if "%" in value or "FMR" in value]
    return (rates or list(report.figures.items()))[:2]


def _short(commit: str) -> str:
    """Ten digits, and the + of code that differs from it."""
    return commit[:10] + ("+" if commit.endswith("+") else "")


def _side_by_side(reports: Sequence[Report]) -> Table:
    settings = dict.fromkeys(key for report in reports for key in report.setting)
    differing = [key for key in settings if len({report.setting.get(key) for report in reports}) > 1]
    heads = [", ".join(report.setting.get(key, "") for key in differing[:2]) for report in reports]
    dated = [head or report.provenance.date for head, report in zip(heads, reports, strict=True)]
    figures = dict.fromkeys(name for report in reports for name in report.figures)
    return [["", *dated]] + [
        [name, *(report.figures.get(name, "") for report in reports)] for name in figures
    ]


def _pictures(entry: Entry) -> list[Path]:
    paths = [entry.folder / Path(name).name for name in entry.report.pictures]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"the report in {entry.folder} shows {missing[0].name}, which is not there")
    return paths


def _markdown(entries: Sequence[Entry], title: str) -> str:
    parts = [f"# {title}", markdown_table(overview(entries))]
    for name, table in comparisons(entries).items():
        parts += [f"## {name}: side by side", markdown_table(table)]
    for entry in entries:
        parts += [f"## {entry.report.title}", entry.report.protocol]
        for heading, rows in entry.report.tables().items():
            parts += [f"### {heading}", markdown_table(_rows(rows))]
        parts += [f"![{path.stem}]({entry.anchor}/{path.name})" for path in _pictures(entry)]
    return "\n\n".join(parts) + "\n"


def _html(entries: Sequence[Entry], title: str) -> str:
    parts = [f"<h1>{html.escape(title)}</h1>", _html_table(overview(entries))]
    for name, table in comparisons(entries).items():
        parts += [f"<h2>{html.escape(name)}: side by side</h2>", _html_table(table)]
    for entry in entries:
        parts.append(_html_section(entry))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _html_section(entry: Entry) -> str:
    report = entry.report
    figures, *others = report.tables().items()
    images = "".join(_html_picture(path) for path in _pictures(entry))
    folded = "".join(f"<h3>{name}</h3>{_html_table(_rows(rows))}" for name, rows in others)
    return (
        f'<h2 id="{entry.anchor}">{html.escape(report.title)}</h2>'
        f'<p class="protocol">{html.escape(report.protocol)}</p>{_html_table(_rows(figures[1]))}'
        f'<div class="plots">{images}</div>'
        f"<details><summary>Setting, command, versions</summary>{folded}</details>"
    )


def _html_picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}">'


def _html_table(rows: Table) -> str:
    head, *body = rows
    lines = [_html_row(head, "th")] if any(head) else []
    lines += [_html_row(row, "td") for row in body]
    return f'<div class="table"><table>{"".join(lines)}</table></div>'


def _html_row(cells: Iterable[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _rows(table: Mapping[str, str]) -> Table:
    return [["", ""], *([name, str(value)] for name, value in table.items())]
