"""Which photos there are, whom they show, and what their crops are called."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.training.data.photos import find_photos


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_the_first_folder_is_the_person_and_crops_lie_as_photos_do(tmp_path: Path) -> None:
    touch(tmp_path, "Zoë/b.JPG", "Zoë/2019/a.png", "Ann/1.webp", "loose.jpeg", "李/一.jpg")
    photos = find_photos(tmp_path)
    assert [(photo.name, photo.person, photo.stem) for photo in photos] == [
        ("Ann/1.webp", "Ann", "Ann/1"),
        ("Zoë/2019/a.png", "Zoë", "Zoë/2019/a"),
        ("Zoë/b.JPG", "Zoë", "Zoë/b"),
        ("loose.jpeg", "", "loose"),
        ("李/一.jpg", "李", "李/一"),
    ]
    assert all(photo.path == tmp_path / photo.name for photo in photos)


def test_what_is_hidden_or_no_image_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/1.jpg", "Ann/.2.jpg", ".trash/3.jpg", "Ann/notes.txt", "Ann/Thumbs.db")
    assert [photo.name for photo in find_photos(tmp_path)] == ["Ann/1.jpg"]


def test_no_two_photos_share_a_crop(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/1.JPG", "Ann/1.jpg.png", "Ann/1.jpg", "Ann/1.png")
    stems = [photo.stem for photo in find_photos(tmp_path)]
    assert stems == ["Ann/1", "Ann/1.jpg", "Ann/1.jpg.png", "Ann/1.png"]
    assert len({stem.casefold() for stem in stems}) == 4


def test_a_list_names_people(tmp_path: Path) -> None:
    touch(tmp_path, "raw/1.jpg", "raw/2.jpg", "raw/deep/2.jpg")
    (tmp_path / "people.txt").write_text(
        "raw/2.jpg Bo\nraw/1.jpg Zoë\nraw/deep/2.jpg Bo\nraw/1.jpg Zoë\n", "utf-8"
    )
    photos = find_photos(tmp_path / "people.txt")
    assert [(photo.name, photo.person, photo.stem) for photo in photos] == [
        ("raw/1.jpg", "Zoë", "Zoë/1"),
        ("raw/2.jpg", "Bo", "Bo/2"),
        ("raw/deep/2.jpg", "Bo", "Bo/2.jpg"),
    ]


@pytest.mark.parametrize("line", ["1.jpg ..", "1.jpg a/b", "../1.jpg Ann", "/etc/1.jpg Ann"])
def test_a_list_cannot_lead_out_of_its_folders(tmp_path: Path, line: str) -> None:
    (tmp_path / "people.txt").write_text(f"2.jpg Bo\n{line}\n", "utf-8")
    with pytest.raises(InputError, match=r"no name of a folder|not below the folder"):
        find_photos(tmp_path / "people.txt")


def test_no_photo_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="holds no photo"):
        find_photos(tmp_path)
    with pytest.raises(InputError, match="cannot read the list"):
        find_photos(tmp_path / "gone")
