"""Label files of every known format say the same; what is none of them is refused with a sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.errors import InputError
from vultus.training.data.widerface import read_widerface

OFFICIAL = """\
0--Parade/0_Parade_marchingband_1_849.jpg
2
449 330 122 149 0 1 2 0 2 1
361 98 26 37 2 0 0 1 0 0
0--Parade/0_Parade_Parade_0_452.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/1_Handshaking_Handshaking_1_42.jpg
1
196 436 178 167 1 0 0 0 0 0
"""
BOX = "449 330 122 149"
PAIRS = "488.906 373.643 542.089 376.442 515.031 412.83 485.174 425.893 538.357 431.491"
TRIPLES = "488.906 373.643 0.0 542.089 376.442 0.0 515.031 412.83 1.0 485.174 425.893 0.0 538.357 431.491 0.0"
UNKNOWN = " ".join(["-1.0"] * 15)


def written(folder: Path, text: str, name: str = "labels.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_official_list(tmp_path: Path) -> None:
    images, rejected = read_widerface(written(tmp_path, OFFICIAL))
    assert rejected == ()
    assert [len(image) for image in images] == [2, 0, 1]
    first = images[0]
    assert first.path == tmp_path / "images" / "0--Parade" / "0_Parade_marchingband_1_849.jpg"
    assert first.boxes.tolist() == [[449, 330, 571, 479], [361, 98, 387, 135]]
    assert first.is_ignored.tolist() == [False, True]
    assert not first.has_landmarks.any()
    assert {name: grades.tolist() for name, grades in first.attributes.items()} == {
        "blur": [0, 2],
        "expression": [1, 0],
        "illumination": [2, 0],
        "occlusion": [2, 0],
        "pose": [1, 0],
    }


def test_the_images_lie_where_the_official_archives_put_them(tmp_path: Path) -> None:
    (tmp_path / "wider_face_split").mkdir()
    (tmp_path / "WIDER_val" / "images").mkdir(parents=True)
    labels = written(tmp_path / "wider_face_split", OFFICIAL, "wider_face_val_bbx_gt.txt")
    assert read_widerface(labels).images[0].path.is_relative_to(tmp_path / "WIDER_val" / "images")
    elsewhere = tmp_path / "elsewhere"
    assert read_widerface(labels, images=elsewhere).images[0].path.is_relative_to(elsewhere)
    train = written(tmp_path / "wider_face_split", OFFICIAL, "wider_face_train_bbx_gt.txt")
    assert read_widerface(train).images[0].path.is_relative_to(tmp_path / "wider_face_split" / "images")


@pytest.mark.parametrize(
    ("broken", "line", "reason"),
    [
        (OFFICIAL.replace("\n2\n", "\n3\n"), 1, "its count is 3, and 2 rows follow"),
        (OFFICIAL.replace("_42.jpg\n1\n", "_42.jpg\n"), 8, "its count is 196 436 178 167 1 0 0 0 0 0, and 0"),
        (OFFICIAL.replace("0 0 0 0 0 0 0 0 0 0", BOX + " 0 0 0 0 0 0"), 5, "its count is 0, and 1"),
        (OFFICIAL.removesuffix("1\n196 436 178 167 1 0 0 0 0 0\n"), 8, "its count is missing"),
    ],
)
def test_an_image_of_which_rows_are_missing_is_reported(
    tmp_path: Path, broken: str, line: int, reason: str
) -> None:
    images, (rejected,) = read_widerface(written(tmp_path, broken))
    assert len(images) == 2
    assert rejected.line == line
    assert reason in rejected.reason


def test_a_row_of_zeros_is_a_bad_face_where_a_face_is_announced(tmp_path: Path) -> None:
    images, rejected = read_widerface(written(tmp_path, OFFICIAL.replace("\n0\n0 0 ", "\n1\n0 0 ")))
    assert len(images) == 2
    assert [row.line for row in rejected] == [5, 7]


@pytest.mark.parametrize(
    ("row", "has_landmarks", "attributes"),
    [
        (BOX, False, set()),
        (f"{BOX} {PAIRS}", True, set()),
        (f"{BOX} {PAIRS} 0 0 1 0", True, {"blur", "occlusion", "pose"}),
        (f"{BOX} {TRIPLES} 0.82", True, set()),
        (f"{BOX} {UNKNOWN} 0.2", False, set()),
        (f"{BOX} {TRIPLES} 0 0 1 0", True, {"blur", "occlusion", "pose"}),
    ],
)
def test_every_public_form_of_retinaface_labels(
    tmp_path: Path, row: str, has_landmarks: bool, attributes: set[str]
) -> None:
    labels = written(tmp_path, f"# 0--Parade/0_Parade_marchingband_1_849.jpg\n{row}\n")
    (image,), rejected = read_widerface(labels)
    assert rejected == ()
    assert image.path == tmp_path / "images" / "0--Parade" / "0_Parade_marchingband_1_849.jpg"
    assert image.boxes.tolist() == [[449, 330, 571, 479]]
    assert image.has_landmarks.tolist() == [has_landmarks]
    if has_landmarks:
        wanted = np.array(PAIRS.split(), np.float32).reshape(5, 2)
        assert np.array_equal(image.landmarks[0], wanted)
    assert set(image.attributes) == attributes


def test_most_rows_decide_what_the_columns_mean(tmp_path: Path) -> None:
    text = f"# a.jpg\n{BOX}\n# b.jpg\n{BOX} {TRIPLES} 0.8\n{BOX} {UNKNOWN} 0.7\n"
    images, rejected = read_widerface(written(tmp_path, text))
    assert [image.path.name for image in images] == ["b.jpg"]
    assert [row.line for row in rejected] == [1, 2]
    assert rejected[1].reason == "expected 20 values, got 4"


def test_a_name_with_a_slash_in_front_lies_in_the_folder_too(tmp_path: Path) -> None:
    (image,), _ = read_widerface(written(tmp_path, f"# /0--Parade/a b.jpg\n{BOX}\n"))
    assert image.path == tmp_path / "images" / "0--Parade" / "a b.jpg"


def test_windows_line_ends_byte_order_mark_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbf" + OFFICIAL.replace("\n", "\r\n\r\n").encode())
    images, rejected = read_widerface(path)
    assert ([len(image) for image in images], rejected) == ([2, 0, 1], ())
    assert images[0].path == tmp_path / "images" / "0--Parade" / "0_Parade_marchingband_1_849.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected the official wider_face"),
        ("\n \n", "is empty"),
        (
            "0 0.5 0.5 0.2 0.2\n",
            "begins with '0 0.5 0.5 0.2 0.2', which is no known format: expected the official",
        ),
        ("name,x,y,w,h\na.jpg,1,2,3,4\n", "no known format"),
        ("a.jpg\n", "no known format"),
        (f"# a.jpg\n{BOX} 1\n", "most rows of .* have 5 values: expected one of 4, 14, 18, 20, 23"),
    ],
)
def test_what_is_no_known_format_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_widerface(written(tmp_path, text))


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wider_face_val.mat").write_bytes(b"MATLAB 5.0\x80\xff")
    with pytest.raises(InputError, match="is no text: expected the official"):
        read_widerface(tmp_path / "wider_face_val.mat")
    with pytest.raises(InputError, match=r"cannot read the labels .*No such file"):
        read_widerface(tmp_path / "gone.txt")


def test_the_shared_training_images_are_read_whole(shared: Path) -> None:
    annotations = read_widerface(shared / "data" / "widerface-train9" / "label.txt", opens_images=True)
    counts = annotations.counts()
    assert (counts.images, counts.images_without_faces) == (1426, 0)
    assert (counts.faces + counts.rejected, counts.with_landmarks) == (20565, 9432)
    assert [row.line for row in annotations.rejected] == [9950, 11682, 13968]
    assert all("no area" in row.reason for row in annotations.rejected)
    first = annotations.images[0]
    assert first.boxes[0] == pytest.approx([246.04, 125.01, 283.39, 179.80], abs=1e-4)
    assert first.landmarks[0, 2] == pytest.approx([267.94, 154.65], abs=1e-4)
    assert first.attributes["occlusion"].tolist() == [2]


def test_in_the_shared_images_the_left_eye_lies_left_of_the_right_one(shared: Path) -> None:
    images = read_widerface(shared / "data" / "widerface-train9" / "label.txt").images
    landmarks = np.concatenate([image.landmarks[image.has_landmarks] for image in images])
    assert len(landmarks) == 9432
    assert (landmarks[:, 0, 0] < landmarks[:, 1, 0]).mean() > 0.95


def test_an_image_is_opened_upright(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # a portrait: stored 200 x 100, shown 100 x 200
    PillowImage.new("RGB", (200, 100)).save(tmp_path / "images" / "a.jpg", exif=exif)
    text = "# a.jpg\n10 150 20 20\n150 10 20 20\n"
    (image,), (rejected,) = read_widerface(written(tmp_path, text), opens_images=True)
    assert image.boxes.tolist() == [[10, 150, 30, 170]]
    assert "of 100 x 200 pixels" in rejected.reason
