"""Text files that list things: a line each, or columns of numbers."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, without spaces around them, with their numbers from 1.

    Raises:
        InputError: no such file, or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list {path}: {error}") from error
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def read_table(path: Path, *, columns: int, dtype: Any) -> NDArray[Any]:
    """(N, columns) values between spaces or tabs, N at least 1. NumPy reads them: 15 million rows in seconds.

    Raises:
        InputError: no such file, nothing in it, a value of another type, or more or fewer columns.
    """
    try:
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # an empty list: told below
            table = np.loadtxt(path, dtype=dtype, comments=None, ndmin=2, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the list {path}: {error}") from error
    if table.shape[0] == 0 or table.shape[1] != columns:
        raise InputError(f"{path}: expected rows of {columns} columns, got {len(table)} of {table.shape[1]}")
    return table
