"""YOLO's folders: fractions become pixels of the image, and files without a partner are reported."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.errors import InputError
from vultus.training.data.widerface import read_widerface

BOX = "0 0.5 0.5 0.1 0.4"  # of 200 x 100 pixels: x 90..110, y 30..70
POINTS = "0.475 0.4 0.525 0.4 0.5 0.5 -1 -1 0.52 0.6"


def folder_of(tmp_path: Path, **labels: str) -> Path:
    """`images/<name>.png` of 200 x 100 pixels and `labels/<name>.txt` for each."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir(exist_ok=True)
    for name, text in labels.items():
        PillowImage.new("RGB", (200, 100)).save(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels" / f"{name}.txt").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("inner", ["", "labels"])
def test_fractions_become_pixels(tmp_path: Path, inner: str) -> None:
    folder = folder_of(tmp_path, a=f"{BOX} {POINTS}\n", b="")
    (image, empty), rejected = read_widerface(folder / inner)
    assert rejected == ()
    assert image.path == tmp_path / "images" / "a.png"
    assert image.boxes[0] == pytest.approx([90, 30, 110, 70], abs=1e-4)
    assert image.landmarks[0, 0] == pytest.approx([95, 40], abs=1e-4)
    assert np.isnan(image.landmarks[0]).all(axis=1).tolist() == [False, False, False, True, False]
    assert not image.is_ignored.any()
    assert (empty.path.name, len(empty)) == ("b.png", 0)


def test_rows_may_lack_landmarks_or_carry_visibility(tmp_path: Path) -> None:
    (image,), _ = read_widerface(folder_of(tmp_path, a=BOX))
    assert np.isnan(image.landmarks).all()
    triples = " ".join(f"{x} {y} 2" for x, y in zip(*[iter(POINTS.split())] * 2, strict=True))
    (image,), _ = read_widerface(folder_of(tmp_path, a=f"{BOX} {triples}"))
    assert image.landmarks[0, 4] == pytest.approx([104, 60], abs=1e-4)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1 0.5 0.5 0.1 0.4", "another class than 0"),
        ("0 100 50 20 40", "the centre of the box lies outside of the picture of 200 x 100 pixels"),
        ("0 0.5 0.5 0 0.4", "the box has no area"),
        ("0 0.5 0.5 0.1", "expected 5 values, got 4"),
    ],
)
def test_a_bad_row_names_its_file(tmp_path: Path, row: str, reason: str) -> None:
    (image,), (rejected,) = read_widerface(folder_of(tmp_path, a=f"{BOX}\n0 0.2 0.5 0.1 0.4\n{row}"))
    assert len(image) == 2
    assert reason in rejected.reason
    assert (rejected.line, rejected.file) == (3, tmp_path / "labels" / "a.txt")


def test_a_file_without_a_partner_is_reported(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=BOX, b=BOX, c=BOX)
    (folder / "images" / "b.png").unlink()
    (folder / "labels" / "c.txt").unlink()
    images, rejected = read_widerface(folder)
    assert [image.path.name for image in images] == ["a.png"]
    assert [(row.line, row.text) for row in rejected] == [(0, "b"), (0, "c")]
    assert "there is no image of that name" in rejected[0].reason
    assert "no label file" in rejected[1].reason


def test_sub_folders_and_another_folder_of_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for place in (folder / "labels" / "train", folder / "pictures" / "train"):
        place.mkdir(parents=True)
    PillowImage.new("RGB", (200, 100)).save(folder / "pictures" / "train" / "0_a.b.png")
    (folder / "labels" / "train" / "0_a.b.txt").write_text(BOX, encoding="utf-8")
    (image,), rejected = read_widerface(folder, images=folder / "pictures")
    assert (image.path, rejected) == (folder / "pictures" / "train" / "0_a.b.png", ())


def test_a_folder_without_labels_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no label file: expected YOLO's labels/\*\.txt"):
        read_widerface(tmp_path)
    with pytest.raises(InputError, match="have 7 values: expected one of 5, 15, 20"):
        read_widerface(folder_of(tmp_path, a="0 0.1 0.1 0.2 0.1 0.2 0.2"))
