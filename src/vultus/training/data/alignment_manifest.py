"""What became of each photo that was aligned, written down as it happens, so that a killed run can go on.

A folder of crops holds beside them

    alignment.json       the settings; other settings do not go on in this folder
    manifest.jsonl       a line for each photo: its SHA-256 and its crop's, or why there is none
    rejects.csv          the photos without a crop, and why
    summary.json         how many of each

A line is written after its crop, which is there whole or not at all. A line that was cut off when the run was
killed is dropped, and its photo done again. Once all photos are done the lines are sorted: the manifest of a
run that was killed ten times is, byte for byte, that of one that never was.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from vultus.errors import InputError
from vultus.image import replace_file

SETTINGS: Final = "alignment.json"
MANIFEST: Final = "manifest.jsonl"
REJECTS: Final = "rejects.csv"
SUMMARY: Final = "summary.json"


class Reason(StrEnum):
    """Why a photo has no crop."""

    UNREADABLE = "not readable"
    NO_FACE = "no face"
    SEVERAL = "several faces"
    NOT_ALIGNABLE = "not alignable"
    SMALL = "too small"
    BLURRED = "blurred"
    TURNED = "turned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one photo.

    Attributes:
        photo: its name, below the source.
        sha256: of its bytes; empty where they could not be read.
        person: whom it shows; empty where nobody knows.
        crop: the crop's file, below the folder of crops; empty where there is none.
        crop_sha256: of the crop's bytes.
        reason: why there is no crop; empty where there is one.
        detail: the same at length.
        score: of the detection.
        face_px: the shorter side of the face box in the photo.
        sharpness: 0..1.
        turn: 0 frontal, beyond 1 (either way) a profile.
        landmarks: ten numbers, x y of five points in pixels of the crop.
    """

    photo: str
    sha256: str
    person: str
    crop: str = ""
    crop_sha256: str = ""
    reason: str = ""
    detail: str = ""
    score: float | None = None
    face_px: float | None = None
    sharpness: float | None = None
    turn: float | None = None
    landmarks: tuple[float, ...] = ()

    def line(self) -> bytes:
        """The row as the manifest has it."""
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


def read_rows(folder: Path) -> dict[str, Row]:
    """The whole lines of a manifest, by photo; none where there is no manifest.

    Raises:
        InputError: a line that no run writes.
    """
    path = folder / MANIFEST
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    rows = {}
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            fields = json.loads(line)
            row = Row(**fields | {"landmarks": tuple(fields["landmarks"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}, line {number}, is damaged ({error}): remove the line, and its photo is done again"
            ) from error
        rows[row.photo] = row
    return rows


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make `folder` one of crops cut with these settings, or see that it is.

    Raises:
        InputError: it was made with others, or holds something else than crops.
    """
    path = folder / SETTINGS
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if folder.is_dir() and any(not _is_hidden(entry) for entry in folder.iterdir()):
            raise InputError(
                f"{folder} is not empty, and has no {SETTINGS}: name a new folder for the crops"
            ) from None
        write(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
        return
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    other = [name for name in (settings | made) if settings.get(name) != made.get(name)]
    if other:
        told = "; ".join(f"{name} was {made.get(name)!r} and is now {settings.get(name)!r}" for name in other)
        raise InputError(
            f"{folder} holds crops that were cut in another way: {told}. Crops of two kinds do not mix: "
            "give the old settings, or another folder"
        )


def write_reports(folder: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """Write the manifest anew, in the order of the rows, rejects.csv and summary.json; return the summary."""
    summary = summary_of(rows)
    write(folder / MANIFEST, b"".join(row.line() for row in rows).decode())
    rejects = ((row.photo, row.reason, row.detail) for row in rows if row.reason)
    write(folder / REJECTS, csv_text([("photo", "reason", "detail"), *rejects]))
    write(folder / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def summary_of(rows: Sequence[Row]) -> dict[str, Any]:
    """How many photos, crops and people, and how many photos were rejected for each reason."""
    counts = Counter(row.reason for row in rows if row.reason)
    return {
        "photos": len(rows),
        "crops": sum(bool(row.crop) for row in rows),
        "people": len({row.person for row in rows if row.crop and row.person}),
        "rejected": sum(counts.values()),
        "reasons": {str(reason): counts[reason] for reason in Reason},
    }


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """The rows as a CSV file has them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as stream:
        stream.write(text.encode())


def _is_hidden(entry: Path) -> bool:
    return entry.name.startswith(".")
