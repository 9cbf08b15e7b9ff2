"""Verification sets as their publishers lay them out, and lists that do not fit."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate import PAIR_SETS, Pairs, read_pair_set
from vultus.evaluate.cfp import read_cfp
from vultus.evaluate.pair_lists import read_one_line_pairs, read_two_line_pairs


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


ONE_LINE = ["a.jpg b.jpg 1", "a.jpg c.jpg 0", "c.jpg d.jpg 1", "b.jpg d.jpg 0"]
TWO_LINES = ["a_0001.jpg 1", "a_0002.jpg 1", "b_0001.jpg 2", "b_0002.jpg 2"]  # as CALFW numbers the folds
TWO_LINES += ["a_0001.jpg 0", "b_0001.jpg 0", "a_0002.jpg 0", "b_0002.jpg 0"]


def test_a_pair_on_one_line(tmp_path: Path) -> None:
    pairs = read_one_line_pairs(write(tmp_path / "agedb_30_pair.txt", *ONE_LINE), folds=2)
    assert named(pairs)[1:3] == [("a.jpg", "c.jpg"), ("c.jpg", "d.jpg")]
    assert pairs.is_genuine.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_a_pair_on_two_lines(tmp_path: Path) -> None:
    pairs = read_two_line_pairs(write(tmp_path / "pairs_CALFW.txt", *TWO_LINES), folds=2)
    assert named(pairs)[:2] == [("a_0001.jpg", "a_0002.jpg"), ("b_0001.jpg", "b_0002.jpg")]
    assert pairs.is_genuine.tolist() == [True, True, False, False]
    assert pairs.fold.tolist() == [0, 1, 0, 1]
    assert len(pairs.images) == 4


def test_numbers_of_folds_in_calfw_are_the_folds_that_are_read(tmp_path: Path) -> None:
    genuine = [f"p{i}_{side}.jpg {fold}" for fold in range(1, 11) for i in range(3) for side in (1, 2)]
    impostor = [f"p{i}_1.jpg 0" for i in range(60)]
    pairs = read_two_line_pairs(write(tmp_path / "pairs_CALFW.txt", *genuine, *impostor))
    assert len(pairs) == 60
    numbered = [int(line.split()[1]) - 1 for line in genuine[::2]]
    assert pairs.fold[pairs.is_genuine].tolist() == numbered
    assert [int((pairs.fold == fold).sum()) for fold in range(10)] == [6] * 10


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.jpg b.jpg", *ONE_LINE[1:]], "line 1: expected 'LEFT RIGHT 0|1'"),
        ([*ONE_LINE[:3], "b.jpg d.jpg 2"], "line 4: expected 'LEFT RIGHT 0|1'"),
        (sorted(ONE_LINE, key=lambda line: line[-1]), "fold 1 of 2 has 2 pairs, 0 of them of one person"),
        (ONE_LINE[:1], "expected both kinds in every fold"),
        ([], "fold 1 of 2 has 0 pairs"),
    ],
)
def test_a_list_of_one_line_pairs_that_does_not_fit_is_refused(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_one_line_pairs(write(tmp_path / "pairs.txt", *lines), folds=2)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (TWO_LINES[:-1], "has 7 lines: expected two for each pair"),
        (["a.jpg 1 1", *TWO_LINES[1:]], "line 1: expected 'IMAGE NUMBER'"),
        (["a.jpg same", *TWO_LINES[1:]], "line 1: expected 'IMAGE NUMBER'"),
        (["a_0001.jpg 2", *TWO_LINES[1:]], "one number for both images of a pair, got 2 and 1"),
        (TWO_LINES[:4], "expected both kinds in every fold"),
    ],
)
def test_a_list_of_two_line_pairs_that_does_not_fit_is_refused(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_two_line_pairs(write(tmp_path / "pairs.txt", *lines), folds=2)


@pytest.mark.parametrize(
    ("name", "file", "images"),
    [
        ("agedb-30", "agedb_30_pair.txt", "agedb30_align_112"),
        ("agedb-30", "agedb_30_pair.txt", "."),
        ("calfw", "pairs_CALFW.txt", "aligned images"),
        ("cplfw", "pairs_CPLFW.txt", "images"),
    ],
)
def test_a_set_is_found_where_it_was_unpacked(name: str, file: str, images: str, tmp_path: Path) -> None:
    blocks = [
        line.replace("x", str(fold)) for fold in range(10) for line in ("x.jpg y.jpg 1", "y.jpg x.jpg 0")
    ]
    two_lines = [f"{i}.jpg {int(i < 20)}" for i in range(40)]
    write(tmp_path / file, *(blocks if name == "agedb-30" else two_lines))
    (tmp_path / images).mkdir(exist_ok=True)
    found = read_pair_set(name, tmp_path)
    assert found.images == tmp_path / images
    with pytest.raises(InputError, match="images of the pairs are missing"):
        found.paths()
    for image in found.pairs.images:
        (found.images / image).touch()
    assert found.paths() == [found.images / image for image in found.pairs.images]


def test_cfp_is_two_sets_in_one_folder(cfp: Path) -> None:
    assert read_pair_set("cfp-ff", cfp).images == cfp
    assert len(read_pair_set("cfp-fp", cfp).pairs.images) == 6


def test_the_development_set_is_laid_out_like_lfw(shared: Path) -> None:
    found = read_pair_set("lfw", shared / "data" / "lfw-dev")
    assert len(found.pairs) == 2000
    assert len(found.paths()) == len(found.pairs.images)


def test_an_unknown_set_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lfw, cfp-ff, cfp-fp, agedb-30, calfw, cplfw; got 'megaface'"):
        read_pair_set("megaface", tmp_path)
    with pytest.raises(InputError, match="no folder"):
        read_pair_set("lfw", tmp_path / "none")
    assert len(PAIR_SETS) == 6
