"""Crops in folders and lists."""

from pathlib import Path

import numpy as np
import pytest

from vultus.errors import ImageError, InputError
from vultus.image import save_image
from vultus.training.data.folder import FileFaces, read_folder, read_image_list, write_image_list


def paint(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(np.full((8, 8, 3), value, np.uint8), path)
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for value, name in enumerate(("Bo/1.png", "Ann/1.png", "Ann/2.png")):
        paint(tmp_path / name, value)
    return tmp_path


def test_a_folder_per_person(people: Path) -> None:
    faces = read_folder(people)
    assert faces.names == ("Ann", "Bo")
    assert faces.identity_index.tolist() == [0, 0, 1]
    assert [int(faces.crop(i)[0, 0, 0]) for i in range(len(faces))] == [1, 2, 0]


def test_real_faces_in_a_folder_per_person(shared: Path) -> None:
    faces = read_folder(shared / "data" / "lfw-dev" / "images")
    assert (len(faces), len(faces.names)) == (2317, 1275)
    assert faces.crop(0).shape == (250, 250, 3)


def test_a_changed_file_changes_the_fingerprint(people: Path) -> None:
    before = read_folder(people).fingerprint
    assert read_folder(people).fingerprint == before
    (people / "Bo" / "1.png").write_bytes(b"something else")
    after = read_folder(people)
    assert after.fingerprint != before
    with pytest.raises(ImageError, match=r"1\.png"):
        after.crop(2)


@pytest.mark.parametrize(
    "lines",
    [
        ["Bo/1.png Bo", "Ann/1.png Ann", "Ann/2.png Ann"],
        ["Bo/1.png\tBo", "", "Ann/1.png\tAnn", "Ann/2.png\tAnn"],
        ["1\t7\tBo/1.png", "2\t3\tAnn/1.png", "3\t3\tAnn/2.png"],
        ["1\t7.000000\t0.5\tBo/1.png", "2\t3.000000\t0.5\tAnn/1.png", "3\t3.000000\t0.5\tAnn/2.png"],
        ["1\tBo/1.png\t7", "1\tAnn/1.png\t3", "0\tAnn/2.png\t3\t1\t2\t3\t4"],
    ],
    ids=["words", "tabs", "MXNet", "MXNet with two labels", "InsightFace"],
)
def test_every_kind_of_list_is_recognised(people: Path, lines: list[str]) -> None:
    (people / "faces.lst").write_text("\n".join(lines), encoding="utf-8")
    faces = read_image_list(people / "faces.lst")
    assert [path.relative_to(people).as_posix() for path in faces.paths] == [
        "Bo/1.png",
        "Ann/1.png",
        "Ann/2.png",
    ]
    assert faces.identity_index.tolist() == [1, 0, 0]
    assert len(faces.names) == 2
    assert [int(faces.crop(i)[0, 0, 0]) for i in range(3)] == [0, 1, 2]


def test_a_list_may_know_nobody(people: Path) -> None:
    (people / "faces.txt").write_text("Bo/1.png\nAnn/1.png\n", encoding="utf-8")
    assert read_image_list(people / "faces.txt").identity_index.tolist() == [-1, -1]
    (people / "faces.lst").write_text("1\t-1\tBo/1.png\n2\t5\tAnn/1.png\n", encoding="utf-8")
    faces = read_image_list(people / "faces.lst")
    assert (faces.identity_index.tolist(), faces.names) == ([-1, 0], ("5",))


def test_a_list_may_lie_elsewhere(people: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "faces.txt").write_text("1.png Ann\n", encoding="utf-8")
    assert read_image_list(lists / "faces.txt", images=people / "Ann").crop(0)[0, 0, 0] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("1\t7\tBo/1.png\nBo/1.png Bo", "line 2: expected 'KEY<tab>LABEL<tab>FILE'"),
        ("1\t7\tBo/1.png\n2\tseven\tBo/1.png", "line 2: expected 'KEY<tab>LABEL<tab>FILE'"),
        ("1\tBo/1.png\t7\n1\tBo/1.png\tBo", "line 2: expected 'ALIGNED<tab>FILE<tab>LABEL'"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "faces.lst").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_image_list(tmp_path / "faces.lst")


def test_a_missing_list_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.lst"):
        read_image_list(tmp_path / "none.lst")
    faces = FileFaces([tmp_path / "none.png"], ["Ann"])
    with pytest.raises(ImageError, match=r"none\.png"):
        faces.crop(0)
    with pytest.raises(InputError, match=r"none\.png"):
        _ = faces.fingerprint
    with pytest.raises(InputError, match="a label for each"):
        FileFaces([tmp_path / "none.png"], [])


def test_a_written_list_is_read_again(people: Path) -> None:
    faces = read_folder(people)
    files = [path.relative_to(people).as_posix() for path in faces.paths]
    write_image_list(people / "new.lst", faces, files)
    assert (people / "new.lst").read_text(encoding="utf-8").splitlines()[0] == "1\t0\tAnn/1.png"
    again = read_image_list(people / "new.lst")
    assert again.paths == faces.paths
    assert again.identity_index.tolist() == faces.identity_index.tolist()
    with pytest.raises(InputError, match="expected 3 files, got 2"):
        write_image_list(people / "new.lst", faces, files[:2])
