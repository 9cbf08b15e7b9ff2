"""Text files of lines and of columns."""

from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.evaluate.lists import read_lines, read_table


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\n a b \r\n\r\nc\u00e9\n".encode())
    assert read_lines(tmp_path / "list.txt") == [(2, "a b"), (4, "c\u00e9")]


def test_a_table_has_rows_and_columns(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1\t2\n3 4\n", encoding="utf-8")
    table = read_table(tmp_path / "list.txt", columns=2, dtype=np.int64)
    assert table.tolist() == [[1, 2], [3, 4]]
    (tmp_path / "list.txt").write_text("# 1\n", encoding="utf-8")  # no comment
    assert read_table(tmp_path / "list.txt", columns=2, dtype=str).tolist() == [["#", "1"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected rows of 2 columns, got 0"),
        ("1 2 3\n", "expected rows of 2 columns, got 1 of 3"),
        ("1 2\n3\n", "cannot read the list"),
        ("1 x\n", "cannot read the list"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "list.txt", columns=2, dtype=np.int64)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt"):
        read_lines(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"none\.txt"):
        read_table(tmp_path / "none.txt", columns=1, dtype=str)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"photo\.jpg"):
        read_lines(tmp_path / "photo.jpg")
