"""What is known about the images of a folder: a CSV file with a column `image` and one for each attribute.

    image,gender,age
    Ann/1.jpg,female,31
    Bo/1.jpg,male,58

`image` is the path below the folder, with forward slashes. Every image that is judged has a row.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from vultus.errors import InputError


def read_column(path: Path, column: str, *, images: Sequence[str]) -> list[str]:
    """The values of one column, in the order of `images`.

    Args:
        path: the CSV file.
        column: its heading.
        images: names of the images.

    Raises:
        InputError: no such file or column, an image without a row, or with two.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = list(reader.fieldnames or [])
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the metadata {path}: {error}") from error
    if "image" not in columns or column not in columns:
        raise InputError(
            f"{path}: expected columns 'image' and {column!r}, got {', '.join(columns) or 'none'}"
        )
    values: dict[str, str] = {}
    for row in rows:
        name = (row["image"] or "").strip()
        if name in values:
            raise InputError(f"{path}: {name!r} has two rows")
        values[name] = (row[column] or "").strip()
    missing = [image for image in images if image not in values]
    if missing:
        raise InputError(
            f"{path}: {len(missing):,} of {len(images):,} images have no row, the first is {missing[0]!r}; "
            "an empty value is allowed, a missing row is not"
        )
    return [values[image] for image in images]


def read_numbers(path: Path, column: str, *, images: Sequence[str]) -> list[float]:
    """The same as numbers.

    Raises:
        InputError: as of `read_column`, or a value that is no number.
    """
    values = read_column(path, column, images=images)
    numbers = []
    for image, value in zip(images, values, strict=True):
        try:
            numbers.append(float(value))
        except ValueError:
            raise InputError(f"{path}: {column} of {image!r} should be a number, got {value!r}") from None
    return numbers
