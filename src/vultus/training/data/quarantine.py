"""Files that are taken out of a data set, and how to put them back: moved, never deleted.

`moved.csv` in the quarantine says of each file where it was and why it went. Its line is on disk before the
file moves; whenever a run is killed, each file is in one of its two places, and `put_back` finds it.
"""

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vultus.errors import InputError

MOVED: Final = "moved.csv"
_COLUMNS: Final = ("file", "kind", "note")


def quarantine_of(folder: Path) -> Path:
    """Where the files of this folder go: beside it, so that nobody takes it for a person."""
    whole = folder.resolve()
    return whole.with_name(f"{whole.name}-quarantine")


def take_out(folder: Path, moves: Sequence[tuple[Path, str, str]], *, quarantine: Path) -> int:
    """Move files of `folder` to the same places below `quarantine`.

    Args:
        folder: the data set.
        moves: file, kind of the finding, its note.
        quarantine: made if need be; files that were taken out before stay there.

    Returns:
        How many were moved.

    Raises:
        InputError: a file is not below the folder, the quarantine is, or a file cannot be moved.
    """
    _check_apart(folder, quarantine)
    try:
        quarantine.mkdir(parents=True, exist_ok=True)
        is_new = not (quarantine / MOVED).exists()
        with (quarantine / MOVED).open("a", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            if is_new:
                rows.writerow(_COLUMNS)
            for file, kind, note in moves:
                inside = file.relative_to(folder)
                target = quarantine / inside
                if target.exists():
                    raise InputError(f"{target} is there already, from an earlier cleaning: put it elsewhere")
                rows.writerow((inside.as_posix(), kind, note))
                stream.flush()
                os.fsync(stream.fileno())
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(file, target)
    except OSError as error:
        raise InputError(f"cannot move files to {quarantine}: {error}") from error
    return len(moves)


def put_back(folder: Path, *, quarantine: Path) -> int:
    """Move every file that was taken out back to where it was; the quarantine is then empty, and goes.

    Returns:
        How many were moved.

    Raises:
        InputError: there is no quarantine, a name in it leads elsewhere, or another file has taken the place.
    """
    try:
        with (quarantine / MOVED).open(newline="", encoding="utf-8") as stream:
            names = [row["file"] for row in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(f"nothing to put back: cannot read {quarantine / MOVED}: {error}") from error
    moves = [(quarantine / name, folder / name) for name in names]
    for taken, place in moves:
        if not place.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{quarantine / MOVED} names {place}, which is not below {folder}")
        if taken.exists() and place.exists():
            raise InputError(f"{place} is there again, and {taken} was taken from there: remove one of them")
    count = 0
    for taken, place in moves:
        if taken.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(taken, place)
            count += 1
    (quarantine / MOVED).unlink()
    _remove_empty(quarantine)
    return count


def _check_apart(folder: Path, quarantine: Path) -> None:
    if quarantine.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{quarantine} lies in {folder}, where it would be taken for a person: name another")


def _remove_empty(folder: Path) -> None:
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
    if not any(folder.iterdir()):
        folder.rmdir()
