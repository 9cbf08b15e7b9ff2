"""How results are printed: tables for people, JSON and CSV for machines."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.types import Detections, Match, Verification

Row = Mapping[str, Any]

_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
FACE_COLUMNS = ("score", "x1", "y1", "x2", "y2", *(f"{point}_{axis}" for point in _POINTS for axis in "xy"))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_csv(rows: Sequence[Row], *, columns: Sequence[str]) -> None:
    """Rows with a header line on standard output."""
    writer = csv.DictWriter(sys.stdout, fieldnames=columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def print_table(rows: Sequence[Row], *, columns: Mapping[str, str], title: str | None = None) -> None:
    """Rows as a table; `columns` maps each row's key to its heading. Numbers are set to the right."""
    table = Table(title=title, title_justify="left")
    for key, heading in columns.items():
        is_number = any(isinstance(row.get(key), int | float) for row in rows)
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in columns))
    Console().print(table if rows else Text("nothing to show", style="dim"))


def one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse --json together with --csv.

    Raises:
        InputError: both were given.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other: choose one")


def face_fields(face: Detections) -> dict[str, Any]:
    """One face as JSON values: box and landmarks in pixels of the upright image."""
    return {
        "box": [round(float(value), 2) for value in face.boxes[0]],
        "score": round(float(face.scores[0]), 4),
        "landmarks": [[round(float(value), 2) for value in point] for point in face.landmarks[0]],
    }


def flat_face_fields(face: Detections) -> dict[str, float]:
    """One face as CSV columns: `FACE_COLUMNS` with their values."""
    pixels = [*face.boxes[0], *face.landmarks[0].reshape(-1)]
    numbers = [round(float(face.scores[0]), 4), *(round(float(value), 2) for value in pixels)]
    return dict(zip(FACE_COLUMNS, numbers, strict=True))


def match_fields(match: Match) -> dict[str, Any]:
    """One match as JSON values."""
    return {
        "answer": str(match.answer),
        "name": match.name,
        "similarity": round(match.best.similarity, 4) if match.best else None,
        "min_similarity": round(match.min_similarity, 4),
        **evidence_fields(match),
        "fpir": _rounded(match.fpir),
        "candidates": [
            {"id": one.id, "name": one.name, "similarity": round(one.similarity, 4)}
            for one in match.candidates
        ],
    }


def evidence_fields(decided: Match | Verification) -> dict[str, float | None]:
    """What was measured of a decision, as JSON values; null where nothing was."""
    return {"doubtful_from": _rounded(decided.doubtful_from), "fmr": _rounded(decided.fmr)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _cell(value: Any) -> Text:
    if value is None:
        return Text("-", style="dim")
    return Text(f"{value:.3f}" if isinstance(value, float) else str(value))
