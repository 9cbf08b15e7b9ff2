"""Every kind of bad row is reported with its line and its reason, and nothing disappears without a word."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.training.data.annotations import Annotations
from vultus.training.data.widerface import read_widerface

FACE = "10 20 30 40 15 30 35 30 25 40 18 50 32 50 0 0 1 0"  # x y w h, five points, blur ignore occlusion pose
OTHER = "110 20 30 40 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 2 1 0 0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One image of 200 x 100 pixels (width x height)."""
    (tmp_path / "images").mkdir()
    PillowImage.new("RGB", (200, 100)).save(tmp_path / "images" / "crew.png")
    return tmp_path


def read(folder: Path, *rows: str, opens_images: bool = True) -> Annotations:
    labels = folder / "label.txt"
    labels.write_text("\n".join(["# crew.png", *rows]) + "\n", encoding="utf-8")
    return read_widerface(labels, opens_images=opens_images)


def box(text: str) -> str:
    """A row with this box, and neither landmarks nor anything special."""
    return f"{text} {' '.join(['-1'] * 10)} 0 0 0 0"


def test_good_rows_are_all_there(folder: Path) -> None:
    (image,), rejected = read(folder, FACE, OTHER)
    assert rejected == ()
    assert image.path == folder / "images" / "crew.png"
    assert image.boxes.tolist() == [[10, 20, 40, 60], [110, 20, 140, 60]]
    assert image.landmarks[0].tolist() == [[15, 30], [35, 30], [25, 40], [18, 50], [32, 50]]
    assert np.isnan(image.landmarks[1]).all()
    assert image.is_ignored.tolist() == [False, True]
    assert {name: grades.tolist() for name, grades in image.attributes.items()} == {
        "blur": [0, 2],
        "occlusion": [1, 0],
        "pose": [0, 0],
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("10 20 30 40", "expected 18 values, got 4"),
        (FACE + " 0", "expected 18 values, got 19"),
        (box("10 twenty 30 40"), "not a number: could not convert string to float: 'twenty'"),
        (box("10 nan 30 40"), "not finite, or beyond 1,000,000"),
        (box("inf inf inf inf"), "not finite, or beyond 1,000,000"),
        (box("10 20 30 1e300"), "not finite, or beyond 1,000,000"),
        (box("10 20 0 40"), "the box has no area"),
        (box("10 20 30 -40"), "the box has no area"),
        (box("-40 20 30 40"), "the centre of the box lies outside of the picture of 200 x 100 pixels"),
        (box("190 20 30 40"), "outside of the picture"),
        (box("10 90 30 40"), "outside of the picture"),
        (FACE[:-1] + "0.5", "blur, ignore, occlusion, pose must be whole numbers"),
        (FACE[:-1] + "128", "blur, ignore, occlusion, pose must be whole numbers"),
        (OTHER, "the same row stands above already"),
        (OTHER.replace("110 ", "110.0  "), "the same row stands above already"),
    ],
)
def test_a_bad_row_is_reported_and_left_out(folder: Path, row: str, reason: str) -> None:
    (image,), (rejected,) = read(folder, OTHER, row)
    assert len(image) == 1
    assert reason in rejected.reason
    assert (rejected.line, rejected.text, rejected.file) == (3, row, folder / "label.txt")


def test_without_the_image_only_a_box_left_of_or_above_it_is_known_to_be_outside(folder: Path) -> None:
    rows = [FACE, box("-40 20 30 40"), box("9000 20 30 40")]
    (image,), rejected = read(folder, *rows, opens_images=False)
    assert image.boxes[:, 0].tolist() == [10, 9000]
    assert [row.line for row in rejected] == [3]


def test_a_box_may_stick_out_of_the_picture(folder: Path) -> None:
    (image,), rejected = read(folder, box("-14 -19 30 40"), box("185 80 30 40"))
    assert (len(image), rejected) == (2, ())


def test_a_landmark_far_from_its_box_costs_the_landmarks_not_the_face(folder: Path) -> None:
    strayed = FACE.replace("15 30 ", "56 30 ")  # the slack ends at 10 + 1.5 * 30 = 55
    (image,), (rejected,) = read(folder, OTHER, strayed)
    assert image.boxes[1].tolist() == [10, 20, 40, 60]
    assert np.isnan(image.landmarks).all()
    assert rejected.line == 3
    assert "used without landmarks" in rejected.reason
    (image,), rejected_rows = read(folder, FACE.replace("15 30 ", "55 30 "))
    assert image.has_landmarks.tolist() == [True]
    assert rejected_rows == ()


def test_a_single_unknown_landmark_leaves_the_other_four(folder: Path) -> None:
    (image,), _ = read(folder, FACE.replace("15 30 ", "-1 -1 "))
    assert np.isnan(image.landmarks[0]).all(axis=1).tolist() == [True, False, False, False, False]


def test_a_landmark_left_of_the_picture_is_not_an_unknown_one(folder: Path) -> None:
    (image,), _ = read(folder, "-5 20 30 40 -1 30 15 30 5 40 -2 50 12 50 0 0 0 0")
    assert image.has_landmarks.tolist() == [True]
    assert image.landmarks[0, 0].tolist() == [-1, 30]


def test_an_image_of_which_no_row_is_usable_is_not_taken_for_background(folder: Path) -> None:
    images, rejected = read(folder, box("10 20 0 0"), "nonsense")
    assert images == ()
    assert [row.line for row in rejected] == [1, 2, 3]
    assert "the image is left out, because it does have faces" in rejected[0].reason


def test_an_image_without_rows_is_an_image_without_faces(folder: Path) -> None:
    labels = folder / "label.txt"
    labels.write_text(f"# crew.png\n# other.png\n{FACE}\n", encoding="utf-8")
    (empty, other), rejected = read_widerface(labels)
    assert (len(empty), len(other), rejected) == (0, 1, ())
    assert set(empty.attributes) == {"blur", "occlusion", "pose"}


def test_a_missing_image_is_reported_where_images_are_opened(folder: Path) -> None:
    labels = folder / "label.txt"
    labels.write_text(f"# gone.png\n{FACE}\n{OTHER}\n# crew.png\n{FACE}\n", encoding="utf-8")
    assert len(read_widerface(labels).images) == 2
    images, (rejected,) = read_widerface(labels, opens_images=True)
    assert [image.path.name for image in images] == ["crew.png"]
    assert (rejected.line, rejected.text) == (1, "# gone.png")
    assert "there is no file" in rejected.reason
    assert "left out, with its rows (2)" in rejected.reason


def test_an_image_that_is_listed_twice_counts_once(folder: Path) -> None:
    images, (rejected,) = read(folder, FACE, "# crew.png", OTHER)
    assert [len(image) for image in images] == [1]
    assert rejected.line == 3
    assert rejected.reason == "the same image stands above already: the image is left out, with its rows (1)"
