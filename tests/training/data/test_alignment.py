"""Photos become crops: what is kept, what is rejected and why, and runs that are killed and go on."""

import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.align import crop_faces
from vultus.choices import FaceChoice
from vultus.detect import load_detector
from vultus.errors import InputError
from vultus.image import load_image
from vultus.training.data.alignment import AlignSettings, align_photos
from vultus.training.data.alignment_manifest import MANIFEST, Reason, read_rows

SETTINGS = AlignSettings(size_px=128, faces=FaceChoice.ONLY)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, by what is in it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path: Path, astronaut: Path, coffee: Path) -> Path:
    """Two people's photos, one good each, and one of every kind that is rejected."""
    folder = tmp_path / "photos"
    with PillowImage.open(astronaut) as opened:
        face = opened.convert("RGB").crop((100, 0, 356, 256))
    pictures = {
        "Zoë/mond.jpg": face,
        "Ann/mirrored.png": face.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT),
        "Ann/nobody.jpg": PillowImage.open(coffee).convert("RGB").resize((300, 200)),
        "Ann/small.png": face.resize((80, 80)),
        "Ann/blurred.png": PillowImage.fromarray(np.asarray(cv2.GaussianBlur(np.asarray(face), (0, 0), 4))),
    }
    both = PillowImage.new("RGB", (512, 256))
    both.paste(face, (0, 0))
    both.paste(face, (256, 0))
    for name, picture in (pictures | {"Zoë/twins.png": both}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
    (folder / "Zoë" / "broken.jpg").write_bytes((folder / "Zoë" / "mond.jpg").read_bytes()[:2000])
    (folder / "Zoë" / "text.png").write_text("no picture", encoding="utf-8")
    return folder


def test_every_photo_has_a_crop_or_a_reason(source: Path, tmp_path: Path) -> None:
    before = contents(source)
    alignment = align_photos(source, tmp_path / "crops", SETTINGS)
    reasons = {row.photo: row.reason for row in alignment.rows}
    assert reasons == {
        "Ann/blurred.png": Reason.BLURRED,
        "Ann/mirrored.png": "",
        "Ann/nobody.jpg": Reason.NO_FACE,
        "Ann/small.png": Reason.SMALL,
        "Zoë/broken.jpg": Reason.UNREADABLE,
        "Zoë/mond.jpg": "",
        "Zoë/text.png": Reason.UNREADABLE,
        "Zoë/twins.png": Reason.SEVERAL,
    }
    with (tmp_path / "crops" / "rejects.csv").open(newline="", encoding="utf-8") as stream:
        rejects = list(csv.DictReader(stream))
    assert {row["photo"]: row["reason"] for row in rejects} == {k: v for k, v in reasons.items() if v}
    assert "needed 40" in next(row["detail"] for row in rejects if row["photo"] == "Ann/small.png")
    summary = json.loads((tmp_path / "crops" / "summary.json").read_text("utf-8"))
    assert summary == alignment.summary
    assert (summary["photos"], summary["crops"], summary["people"], summary["rejected"]) == (8, 2, 2, 6)
    assert summary["reasons"]["not readable"] == 2
    assert contents(source) == before
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "crops"}
    crops = {name for name in contents(tmp_path / "crops") if "/" in name}
    assert crops == {"Ann/mirrored.png", "Zoë/mond.png"}


def test_a_crop_is_the_template_with_picture_around_it(source: Path, tmp_path: Path) -> None:
    alignment = align_photos(source, tmp_path / "crops", replace(SETTINGS, detector="mtcnn"))
    image = load_image(source / "Zoë" / "mond.jpg")
    landmarks = load_detector("mtcnn", threads=1).detect(image).landmarks
    crop = load_image(tmp_path / "crops" / "Zoë" / "mond.png")
    assert np.array_equal(crop, crop_faces(image, landmarks, size_px=128, margin_px=8)[0])
    inner = crop_faces(image, landmarks, size_px=112)[0]
    assert np.abs(crop[8:120, 8:120].astype(int) - inner).max() <= 1
    row = next(row for row in alignment.rows if row.photo == "Zoë/mond.jpg")
    points = np.array(row.landmarks).reshape(5, 2)
    assert (
        np.abs(
            points - (np.array([[38.3, 51.7], [73.5, 51.5], [56, 71.7], [41.5, 92.4], [70.7, 92.2]]) + 8)
        ).max()
        < 6
    )
    assert row.crop_sha256 == hashlib.sha256((tmp_path / "crops" / row.crop).read_bytes()).hexdigest()


def test_which_face_is_meant_can_be_said(source: Path, tmp_path: Path) -> None:
    largest = replace(SETTINGS, faces=FaceChoice.LARGEST)
    rows = align_photos(source, tmp_path / "crops", largest).rows
    assert [row.crop for row in rows if row.photo == "Zoë/twins.png"] == ["Zoë/twins.png"]


def test_a_face_turned_away_is_rejected(source: Path, tmp_path: Path) -> None:
    rows = align_photos(source, tmp_path / "crops", replace(SETTINGS, max_turn=0.0)).rows
    assert [row.reason for row in rows if row.photo == "Zoë/mond.jpg"] == [Reason.TURNED]


@pytest.mark.parametrize("form", ["webp", "jpg"])
def test_crops_may_be_smaller_files(source: Path, tmp_path: Path, form: str) -> None:
    settings = AlignSettings(size_px=128, image=form, quality=80)  # type: ignore[arg-type]  # parametrised
    align_photos(source, tmp_path / "crops", settings)
    better = AlignSettings(size_px=128, image=form, quality=98)  # type: ignore[arg-type]
    align_photos(source, tmp_path / "better", better)
    sizes = [(tmp_path / name / "Zoë" / f"mond.{form}").stat().st_size for name in ("crops", "better")]
    assert sizes[0] < sizes[1]
    assert load_image(tmp_path / "crops" / "Zoë" / f"mond.{form}").shape == (128, 128, 3)


def test_what_is_done_is_not_done_again(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    assert align_photos(source, folder, SETTINGS).fresh == 8
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert times
    before = contents(folder)
    assert align_photos(source, folder, SETTINGS).fresh == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == times
    assert contents(folder) == before


def test_what_changed_is_done_again_and_only_that(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    align_photos(source, folder, SETTINGS)
    (source / "Ann" / "mirrored.png").unlink()
    shutil.copy(source / "Zoë" / "mond.jpg", source / "Zoë" / "text.png")  # a JPEG by another name
    (folder / "Zoë" / "mond.png").write_bytes(b"damaged")
    again = align_photos(source, folder, SETTINGS)
    assert again.fresh == 2
    fresh = tmp_path / "fresh"
    align_photos(source, fresh, SETTINGS)
    assert contents(folder) == contents(fresh)


def test_two_processes_make_the_same_as_one(source: Path, tmp_path: Path) -> None:
    align_photos(source, tmp_path / "one", SETTINGS)
    seen: list[tuple[int, int]] = []
    align_photos(source, tmp_path / "two", SETTINGS, workers=2, on_progress=lambda *done: seen.append(done))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert seen == [(done, 8) for done in range(1, 9)]


def test_a_line_that_was_cut_off_and_a_half_file_leave_no_trace(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    align_photos(source, folder, SETTINGS)
    whole = contents(folder)
    manifest = folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-300])
    (folder / "Ann" / f".{'a' * 32}.tmp").write_bytes(b"half a crop")
    assert 0 < align_photos(source, folder, SETTINGS).fresh < 8
    assert contents(folder) == whole


def test_a_damaged_line_is_named(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    align_photos(source, folder, SETTINGS)
    (folder / MANIFEST).write_text("{}\nnonsense\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1, is damaged"):
        align_photos(source, folder, SETTINGS)


def test_other_settings_are_refused_with_the_reason(source: Path, tmp_path: Path) -> None:
    align_photos(source, tmp_path / "crops", SETTINGS)
    before = contents(tmp_path / "crops")
    with pytest.raises(InputError, match="size_px was 128 and is now 112"):
        align_photos(source, tmp_path / "crops", replace(SETTINGS, size_px=112))
    assert contents(tmp_path / "crops") == before


def test_a_folder_that_is_not_ours_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="is not empty"):
        align_photos(source, tmp_path / "mine", SETTINGS)
    assert list(contents(tmp_path / "mine")) in (
        ["thesis.txt"],
        ["thesis.txt", ".alignment.lock"],
        [".alignment.lock", "thesis.txt"],
    )


@pytest.mark.parametrize("place", ["photos", "photos/crops", "."])
def test_crops_do_not_lie_among_photos(source: Path, tmp_path: Path, place: str) -> None:
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"name (another|a) folder"):
        align_photos(source, tmp_path / place, SETTINGS)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("wrong", [{"size_px": 111}, {"size_px": 96}, {"quality": 0}, {"image": "gif"}])
def test_settings_that_make_no_crop_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="got"):
        AlignSettings(**wrong)  # type: ignore[arg-type]  # on purpose


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    """Three times `kill -9`, wherever it hits; then to the end."""
    source = tmp_path / "photos"
    found = sorted((shared / "data" / "lfw-dev" / "images").rglob("*.jpg"))[:30]
    for path in found:
        (source / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, source / path.parent.name)
    central = replace(SETTINGS, faces=FaceChoice.CENTRAL)
    align_photos(source, tmp_path / "whole", central)
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "vultus", "data", "align", str(source), str(folder)]
    command += ["--size-px", "128", "--faces", "central", "--workers", "1"]
    counts = [0]
    for _ in range(3):
        _kill_when_more_is_done(command, folder, than=counts[-1] + 3)
        counts.append(len(read_rows(folder)))
    assert 0 < counts[1] < counts[2] < counts[3] < len(found)
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["done_now"] == len(found) - counts[3]
    assert contents(folder) == contents(tmp_path / "whole")
    assert len(contents(folder)) > 20


def _kill_when_more_is_done(command: list[str], folder: Path, *, than: int) -> None:
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(read_rows(folder)) <= than:
        assert time.monotonic() < end
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
