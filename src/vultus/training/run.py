"""A run's folder: what was trained, on what, by which code, and how it went.

recipe.json      every knob, the commit, the hashes of the data, the versions of the libraries
log.csv          a row every few steps: losses, learning rate, samples per second
validation.csv   a row for each validation
curves.png       both as a picture
events.*         both for TensorBoard
last.ckpt        all that going on needs
best.pt          the weights of the best validation (without one: the last)
"""

import csv
import hashlib
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vultus
from vultus.errors import InputError, TrainingError
from vultus.evaluate.provenance import commit
from vultus.image import replace_file
from vultus.training.settings import UNIMPORTANT, TrainSettings

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "lightning-fabric", "torchdata")


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of one run.

    Attributes:
        folder: which exists.
    """

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """All that going on needs: network, optimiser, position."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """The state dict of the network that was judged best."""
        return self.folder / "best.pt"

    @property
    def log(self) -> Path:
        """Losses and learning rate over the steps."""
        return self.folder / "log.csv"

    @property
    def validations(self) -> Path:
        """Figures of each validation."""
        return self.folder / "validation.csv"

    @property
    def curves(self) -> Path:
        """The losses and the figures as a picture."""
        return self.folder / "curves.png"


def open_run(folder: Path, recipe: TrainSettings, *, data: Mapping[str, Path]) -> Run:
    """A new run's folder, or that of a run that goes on.

    Args:
        folder: created if it is not there.
        recipe: every knob; those that change no number may differ from the run that goes on.
        data: what is learnt from, by name: files and folders whose hashes are kept. One that is named as the
            knob that holds its path may have moved.

    Raises:
        TrainingError: the folder holds a run with another recipe or other data.
        InputError: data that is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "recipe": type(recipe).__name__,
        "settings": _plain(asdict(recipe)),
        "data": {name: describe(path) for name, path in data.items()},
        "commit": commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"vultus": vultus.__version__, "python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
    }
    file = folder / "recipe.json"
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        before["settings"] = _defaults(recipe) | before["settings"]
        _check_same(before, told, folder=folder)
    else:
        with replace_file(file) as stream:
            stream.write(json.dumps(told, indent=2).encode())
    return Run(folder)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return plain


def _defaults(recipe: TrainSettings) -> dict[str, Any]:
    """What a run that does not name a knob did: one that is older than the knob did what is its default."""
    return _plain({knob.name: knob.default for knob in fields(recipe) if knob.default is not MISSING})


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], *, folder: Path) -> None:
    old, new = before["settings"], now["settings"]
    hashed = {*before["data"], *now["data"]}
    changed = [
        f"{name} was {old.get(name)}, is {new.get(name)}"
        for name in sorted({*old, *new} - UNIMPORTANT - hashed)
        if old.get(name) != new.get(name)
    ]
    changed += [
        f"the data {name!r} changed" for name in sorted(hashed) if _digest(before, name) != _digest(now, name)
    ]
    if before["recipe"] != now["recipe"]:
        changed.insert(0, f"the recipe was {before['recipe']}, is {now['recipe']}")
    if changed:
        raise TrainingError(
            f"{folder} holds another run, which cannot go on with these: {'; '.join(changed)}. "
            "Name another folder, or repeat the settings of this one (recipe.json)"
        )


def _digest(told: Mapping[str, Any], name: str) -> str | None:
    digest: str | None = told["data"].get(name, {}).get("sha256")
    return digest


def describe(path: Path) -> dict[str, Any]:
    """Where data is and what it is: a file's SHA-256, or that of a folder's list of names and sizes.

    Raises:
        InputError: it is not there.
    """
    if path.is_file():
        with path.open("rb") as stream:
            return {"path": str(path), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    if not path.is_dir():
        raise InputError(f"there is no data at {path}")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n" for file in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    return {"path": str(path), "files": len(files), "sha256": digest, "sha256_of": "names and sizes"}


def append_row(file: Path, row: Mapping[str, Any]) -> None:
    """One more row of a CSV file, whose first row names the columns."""
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def forget_after(file: Path, last: int, *, column: str) -> None:
    """Drop the rows beyond the last step or epoch: they are going to be done again.

    Args:
        file: of `append_row`; nothing happens where it is not there.
        last: the highest value that stays.
        column: whose value that is.
    """
    if not file.exists():
        return
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or []
        whole = [row for row in reader if None not in row.values()]
    kept = [row for row in whole if int(row[column]) <= last]
    if not kept:
        file.unlink()
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(kept)
    with replace_file(file) as binary:
        binary.write(text.getvalue().encode())
