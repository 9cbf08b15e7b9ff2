"""Lists with a pair on one line, and on two."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate import Pairs
from vultus.evaluate.pair_lists import read_one_line_pairs, read_two_line_pairs


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def named(pairs: Pairs) -> list[tuple[str, str]]:
    return [(pairs.images[i], pairs.images[j]) for i, j in zip(pairs.left, pairs.right, strict=True)]


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
