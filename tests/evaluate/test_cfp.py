"""CFP's two protocols, as they are laid out; lines that do not fit are named."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate import Pairs, read_pair_set
from vultus.evaluate.cfp import read_cfp


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    """Two people with two frontal and one profile image each; two folds of one pair of each kind."""
    lists = tmp_path / "Protocol"
    frontal = [
        f"../Data/Images/{person:03d}/frontal/{number:02d}.jpg" for person in (1, 2) for number in (1, 2)
    ]
    profile = [f"../Data/Images/{person:03d}/profile/01.jpg" for person in (1, 2)]
    write(lists / "Pair_list_F.txt", *(f"{i} {name}" for i, name in enumerate(frontal, start=1)))
    write(lists / "Pair_list_P.txt", *(f"{i} {name}" for i, name in enumerate(profile, start=1)))
    for protocol, same, diff in (
        ("FF", ("1,2", "3,4"), ("1,3", "2,4")),
        ("FP", ("2,1", "4,2"), ("1,2", "3,1")),
    ):
        for fold in (1, 2):
            folder = lists / "Split" / protocol / f"{fold:02d}"
            write(folder / "same.txt", same[fold - 1])
            write(folder / "diff.txt", diff[fold - 1])
    return tmp_path


def named(pairs: Pairs) -> list[tuple[str, str]]:
    return [(pairs.images[i], pairs.images[j]) for i, j in zip(pairs.left, pairs.right, strict=True)]


def test_cfp_frontal_to_frontal(cfp: Path) -> None:
    pairs = read_cfp(cfp, protocol="FF")
    assert named(pairs) == [
        ("Data/Images/001/frontal/01.jpg", "Data/Images/001/frontal/02.jpg"),
        ("Data/Images/001/frontal/01.jpg", "Data/Images/002/frontal/01.jpg"),
        ("Data/Images/002/frontal/01.jpg", "Data/Images/002/frontal/02.jpg"),
        ("Data/Images/001/frontal/02.jpg", "Data/Images/002/frontal/02.jpg"),
    ]
    assert pairs.is_genuine.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]
    assert len(pairs.images) == 4


def test_cfp_frontal_to_profile_takes_the_second_number_from_the_other_list(cfp: Path) -> None:
    assert named(read_cfp(cfp, protocol="FP")) == [
        ("Data/Images/001/frontal/02.jpg", "Data/Images/001/profile/01.jpg"),
        ("Data/Images/001/frontal/01.jpg", "Data/Images/002/profile/01.jpg"),
        ("Data/Images/002/frontal/02.jpg", "Data/Images/002/profile/01.jpg"),
        ("Data/Images/002/frontal/01.jpg", "Data/Images/001/profile/01.jpg"),
    ]


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("Pair_list_F.txt", "one ../Data/x.jpg", "Pair_list_F.txt, line 1: expected a new number"),
        ("Pair_list_F.txt", "1 ../../secret.jpg", "Pair_list_F.txt, line 1: expected a new number"),
        ("Pair_list_F.txt", "1 /etc/passwd", "Pair_list_F.txt, line 1: expected a new number"),
        ("Split/FF/02/diff.txt", "2;4", "diff.txt, line 1: expected two numbers"),
        ("Split/FF/02/diff.txt", "2,5", "diff.txt, line 1: expected two numbers of the lists"),
        ("Split/FF/02/diff.txt", "2,4,1", "diff.txt, line 1: expected two numbers"),
    ],
)
def test_a_line_of_cfp_that_does_not_fit_is_named(cfp: Path, file: str, line: str, message: str) -> None:
    write(cfp / "Protocol" / file, line)
    with pytest.raises(InputError, match=message):
        read_cfp(cfp, protocol="FF")


def test_a_number_that_cfp_gives_twice_is_refused(cfp: Path) -> None:
    write(cfp / "Protocol" / "Pair_list_F.txt", "1 ../Data/a.jpg", "1 ../Data/b.jpg")
    with pytest.raises(InputError, match="line 2: expected a new number"):
        read_cfp(cfp, protocol="FF")


def test_cfp_without_its_folds_is_refused(tmp_path: Path) -> None:
    for name in ("Pair_list_F.txt", "Pair_list_P.txt"):
        write(tmp_path / "Protocol" / name, "1 ../Data/a.jpg")
    with pytest.raises(InputError, match="0 sub-folders"):
        read_cfp(tmp_path, protocol="FP")
    with pytest.raises(InputError, match=r"cannot read the list .*Pair_list_F\.txt"):
        read_cfp(tmp_path / "none", protocol="FP")


def test_cfp_is_two_sets_in_one_folder(cfp: Path) -> None:
    assert read_pair_set("cfp-ff", cfp).images == cfp
    assert len(read_pair_set("cfp-fp", cfp).pairs.images) == 6
