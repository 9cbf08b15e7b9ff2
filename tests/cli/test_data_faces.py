"""`vultus data align`, `clean` and `stats`, run as a user runs them, one after the other."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vultus.training.data.reading import read_faces

Vultus = Callable[..., Any]


@pytest.fixture
def photos(shared: Path, tmp_path: Path) -> Path:
    """Three people, two photos each."""
    folder = tmp_path / "photos"
    images = shared / "data" / "lfw-dev" / "images"
    people = [path for path in sorted(images.iterdir()) if len(list(path.iterdir())) > 1][:3]
    assert len(people) == 3
    for person in people:
        for path in sorted(person.iterdir())[:2]:
            (folder / person.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / person.name)
    return folder


def align(vultus: Vultus, photos: Path, target: Path, *more: str) -> Any:
    options = ("--size-px", "128", "--faces", "central", "--workers", "1", "--json", *more)
    outcome = vultus("data", "align", photos, target, *options)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_from_photos_to_a_clean_set(vultus: Vultus, photos: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    told = align(vultus, photos, crops)
    assert (told["photos"], told["crops"], told["people"], told["done_now"]) == (6, 6, 3, 6)
    refused = vultus("data", "align", photos, crops, "--size-px", "112")
    assert refused.code == 2
    assert "size_px was 128 and is now 112" in refused.err
    copied = next(path for path in sorted(crops.rglob("*.png")))
    shutil.copy(copied, copied.with_name("copy.png"))
    clean = ("data", "clean", crops, "--cache", tmp_path / "cache")
    report = tmp_path / "report"
    outcome = vultus(*clean, "--report", report, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["details"]["findings"]["same bytes"] == 1
    assert (report / "same-bytes-1.png").stat().st_size > 1000
    assert "same-bytes-1.png" in (report / "report.md").read_text("utf-8")
    assert "copy.png" in (report / "findings.csv").read_text("utf-8")
    assert len(list(crops.rglob("*.png"))) == 7
    assert vultus(*clean, "--only", "same bytes", "--apply").code == 0
    assert len(list(crops.rglob("*.png"))) == 6
    assert vultus("data", "clean", crops, "--undo").out.strip() == "put back 1 files"
    assert len(list(crops.rglob("*.png"))) == 7
    outcome = vultus("data", "stats", crops, "--report", tmp_path / "stats", "--json")
    assert outcome.code == 0, outcome.err
    details = json.loads(outcome.out)["details"]
    assert (details["crops"], details["people"]) == (7, 3)
    assert details["spread"]["size, px"]["median"] == 128
    assert abs(details["spread"]["turn"]["median"]) < 0.5
    assert (tmp_path / "stats" / "crops-per-person.png").exists()


def test_people_of_a_test_set_are_found_and_raw_photos_refused(
    vultus: Vultus, photos: Path, tmp_path: Path
) -> None:
    crops = tmp_path / "crops"
    align(vultus, photos, crops)
    first = min(photos.iterdir())
    clean = ("data", "clean", crops, "--cache", tmp_path / "cache", "--against", first, "--json")
    report = tmp_path / "report"
    for _ in range(2):  # the second time from the cache
        outcome = vultus(*clean, "--report", report)
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["details"]["findings"]["in the test set"] == 1
        with (report / "findings.csv").open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["kind"] == "in the test set"]
        assert {Path(row["file"]).parent.name for row in rows} == {first.name}
        assert len(rows) == 2
    refused = vultus("data", "clean", photos, "--cache", tmp_path / "cache")
    assert refused.code == 2
    assert "vultus data align" in refused.err


@pytest.mark.parametrize(("form", "path"), [("tar", ""), ("rec", "train.rec")])
def test_packed_crops_are_read_back(
    vultus: Vultus, photos: Path, tmp_path: Path, form: str, path: str
) -> None:
    target = tmp_path / "packed"
    align(vultus, photos, target, "--format", form)
    faces = read_faces(target / path, split="train")
    assert (len(faces), len(faces.names), faces.crop(0).shape) == (6, 3, (128, 128, 3))
    before = {file.name: file.read_bytes() for file in target.iterdir() if file.is_file()}
    assert align(vultus, photos, target, "--format", form)["done_now"] == 0
    assert {file.name: file.read_bytes() for file in target.iterdir() if file.is_file()} == before


def test_none_of_it_loads_torch(tmp_path: Path) -> None:
    modules = (
        "alignment",
        "packing",
        "reading",
        "cleaning_report",
        "quarantine",
        "face_vectors",
        "set_figures",
    )
    imports = ", ".join(f"vultus.training.data.{module}" for module in modules)
    code = f"import sys, {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
