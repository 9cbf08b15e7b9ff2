"""A table about the images: every image has its row, or nothing is measured."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate.metadata import read_column, read_numbers

TABLE = "image,gender,age\nAnn/1.jpg,female,31\nBo/1.jpg,,58.5\n"


def write(folder: Path, text: str = TABLE) -> Path:
    path = folder / "people.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert read_column(path, "gender", images=["Bo/1.jpg", "Ann/1.jpg"]) == ["", "female"]
    assert read_numbers(path, "age", images=["Bo/1.jpg", "Ann/1.jpg"]) == [58.5, 31.0]


def test_a_byte_order_mark_and_more_rows_than_images_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff" + TABLE)
    assert read_column(path, "age", images=["Ann/1.jpg"]) == ["31"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (TABLE, "height", "expected columns 'image' and 'height', got image, gender, age"),
        ("file,gender\nAnn/1.jpg,f\n", "gender", "expected columns 'image'"),
        ("", "gender", "got none"),
        (TABLE + "Ann/1.jpg,male,1\n", "gender", "'Ann/1.jpg' has two rows"),
        ("image,gender\nBo/1.jpg,m\n", "gender", "1 of 2 images have no row, the first is 'Ann/1.jpg'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text: str, column: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_column(write(tmp_path, text), column, images=["Ann/1.jpg", "Bo/1.jpg"])


def test_what_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gender of 'Ann/1\.jpg' should be a number, got 'female'"):
        read_numbers(write(tmp_path), "gender", images=["Ann/1.jpg"])
    with pytest.raises(InputError, match="cannot read the metadata"):
        read_column(tmp_path / "none.csv", "age", images=[])
