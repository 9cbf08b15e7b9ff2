"""The format of LFW's view 2: read as published, or refused with the line's number."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate import read_pairs

LIST = """2\t1
Ann_Lee\t1\t12
Bo\t1\tAnn_Lee\t3
Cy\t2\t1
Cy\t2\tDee\t1
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text(LIST, encoding="utf-8")
    return path


def test_pairs_are_read_in_the_published_order(listed: Path) -> None:
    pairs = read_pairs(listed)
    assert len(pairs) == 4
    assert pairs.images == (
        "Ann_Lee/Ann_Lee_0001.jpg",
        "Ann_Lee/Ann_Lee_0012.jpg",
        "Bo/Bo_0001.jpg",
        "Ann_Lee/Ann_Lee_0003.jpg",
        "Cy/Cy_0002.jpg",
        "Cy/Cy_0001.jpg",
        "Dee/Dee_0001.jpg",
    )
    assert pairs.left.tolist() == [0, 2, 4, 4]  # Cy 2 is one image, named once
    assert pairs.right.tolist() == [1, 3, 5, 6]
    assert pairs.is_genuine.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_windows_line_ends_and_a_last_empty_line_are_no_pairs(listed: Path) -> None:
    plain = read_pairs(listed)
    listed.write_bytes(LIST.replace("\n", "\r\n").encode() + b"\r\n")
    assert read_pairs(listed).images == plain.images


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "1100", "line 1: expected 'FOLDS<tab>PAIRS'"),
        (1, "0\t1", "line 1: expected 'FOLDS<tab>PAIRS'"),
        (2, "Ann_Lee\t1", "line 2: expected a genuine pair"),
        (2, "Ann_Lee\t1\tBo\t2", "line 2: expected a genuine pair"),
        (3, "Bo\t1\t2", "line 3: expected an impostor pair"),
        (3, "Bo\tone\tAnn_Lee\t3", "line 3: expected an impostor pair"),
        (3, "Bo\t1\tAnn_Lee\tthree", "line 3: expected an impostor pair"),
        (3, "Bo\t1\tBo\t3", "line 3: expected an impostor pair of two people"),
        (3, "Bo 1 Ann_Lee 3", "line 3: expected an impostor pair"),
    ],
)
def test_a_line_that_does_not_fit_is_named(listed: Path, line: int, text: str, message: str) -> None:
    lines = LIST.splitlines()
    lines[line - 1] = text
    listed.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_pairs(listed)


def test_a_list_that_ends_early_is_refused(listed: Path) -> None:
    listed.write_text("\n".join(LIST.splitlines()[:-1]), encoding="utf-8")
    with pytest.raises(InputError, match=r"line 5: expected an impostor pair .* got the end of the file"):
        read_pairs(listed)


def test_a_list_that_goes_on_is_refused(listed: Path) -> None:
    listed.write_text(LIST + "Eve\t1\t2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 6: expected the end: the header announces 4 pairs"):
        read_pairs(listed)


def test_a_missing_or_binary_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the pairs list"):
        read_pairs(tmp_path / "none.txt")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="cannot read the pairs list"):
        read_pairs(tmp_path / "photo.jpg")


def test_a_missing_image_is_found_before_any_work_begins(listed: Path, tmp_path: Path) -> None:
    pairs = read_pairs(listed)
    for image in pairs.images[1:]:
        (tmp_path / image).parent.mkdir(exist_ok=True)
        (tmp_path / image).touch()
    with pytest.raises(InputError, match=r"1 of the 7 images .*Ann_Lee_0001\.jpg"):
        pairs.find_images(tmp_path)
    (tmp_path / pairs.images[0]).touch()
    assert pairs.find_images(tmp_path) == [tmp_path / image for image in pairs.images]


def test_of_many_missing_images_a_few_are_named(listed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"7 of the 7 images .* and 2 more"):
        read_pairs(listed).find_images(tmp_path)


def test_the_official_format_of_the_development_set_is_read(shared: Path) -> None:
    folder = shared / "data" / "lfw-dev"
    pairs = read_pairs(folder / "pairs.txt")
    assert (len(pairs), pairs.is_genuine.sum(), pairs.fold.max()) == (2000, 1000, 9)
    assert len(pairs.find_images(folder / "images")) == len(pairs.images)
    people = [{pairs.images[i].split("/")[0] for i in pairs.left[pairs.fold == k]} for k in range(10)]
    assert not any(people[i] & people[j] for i in range(10) for j in range(i))  # disjoint between folds
