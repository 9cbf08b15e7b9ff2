"""The rows of a label file, one face each -> an `AnnotatedImage`, and a reason for each row that is unusable.

A row that is wrong is reported and left out; one whose landmarks alone are wrong is reported and used without
them. An image of which no row is usable is left out whole: it has faces, and would be taken for background.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.training.data.annotations import AnnotatedImage, RejectedRow

UNKNOWN: Final = -1.0  # both coordinates of a landmark that nobody has marked
LANDMARK_SLACK: Final = 0.5  # of the box's side: how far outside of its box a landmark may lie
_IGNORE_FLAGS: Final = ("ignore", "invalid")
_NOT_A_GRADE: Final = ("confidence",)


class Layout(NamedTuple):
    """What the columns of a row mean: x y w h in pixels, five points, grades.

    Attributes:
        values_per_point: 2 (x y), 3 (x y and a visibility, which is not used), or 0 without points.
        grades: the names of the integers at the end of the row.
    """

    values_per_point: int
    grades: tuple[str, ...]

    @property
    def columns(self) -> int:
        """How many values a row has."""
        return 4 + 5 * self.values_per_point + len(self.grades)


class Row(NamedTuple):
    """A line of the file, counted from 1, without the white space around it."""

    line: int
    text: str


class Section(NamedTuple):
    """One image of a label file: where it is named, its file, and a row for each face."""

    heading: Row
    path: Path
    rows: Sequence[Row]


def read_section(
    section: Section, layout: Layout, *, file: Path, size_hw: tuple[int, int] | None = None
) -> tuple[AnnotatedImage | None, list[RejectedRow]]:
    """The faces of one image.

    Args:
        section: the image and its rows.
        layout: what the columns mean.
        file: the label file, for the report.
        size_hw: the image's size; where it is not known, only a box left of or above the image is outside.

    Returns:
        The image, or None where it has rows and none of them is usable; and the rows to report.
    """
    values, faults = _numbers(section.rows, layout.columns)
    boxes, landmarks = _boxes(values), _landmarks(values, layout)
    for index, reason in _box_faults(values, boxes, layout, size_hw=size_hw):
        faults.setdefault(index, reason)
    keep = np.array([row not in faults for row in range(len(values))], dtype=bool)
    is_far = keep & _has_far_landmark(boxes, landmarks)
    landmarks[is_far] = np.nan
    for index in np.flatnonzero(is_far).tolist():
        faults[index] = "a landmark lies far outside of its box: the face is used without landmarks"
    rejected = [RejectedRow(*section.rows[row], faults[row], file) for row in sorted(faults)]
    if len(values) and not keep.any():
        reason = "none of its rows is usable: the image is left out, because it does have faces"
        return None, [RejectedRow(*section.heading, reason, file), *rejected]
    is_ignored, attributes = _grades(values[keep], layout)
    return AnnotatedImage(section.path, boxes[keep], landmarks[keep], is_ignored, attributes), rejected


def _numbers(rows: Sequence[Row], columns: int) -> tuple[NDArray[np.float64], dict[int, str]]:
    """(N, columns) the values, NaN in the rows for which the second result holds a reason."""
    values, faults = np.full((len(rows), columns), np.nan), dict[int, str]()
    for index, row in enumerate(rows):
        words = row.text.split()
        if len(words) != columns:
            faults[index] = f"expected {columns} values, got {len(words)}"
            continue
        try:
            values[index] = [float(word) for word in words]
        except ValueError as error:
            faults[index] = f"not a number: {error}"
    return values, faults


def _boxes(values: NDArray[np.float64]) -> NDArray[np.float32]:
    corner, size = values[:, :2], values[:, 2:4]
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


def _landmarks(values: NDArray[np.float64], layout: Layout) -> NDArray[np.float32]:
    if not layout.values_per_point:
        return np.full((len(values), 5, 2), np.nan, np.float32)
    points = values[:, 4 : 4 + 5 * layout.values_per_point].reshape(len(values), 5, layout.values_per_point)
    landmarks = points[..., :2].astype(np.float32)
    landmarks[(landmarks == UNKNOWN).all(axis=2)] = np.nan
    return landmarks


def _box_faults(
    values: NDArray[np.float64],
    boxes: NDArray[np.float32],
    layout: Layout,
    *,
    size_hw: tuple[int, int] | None,
) -> Iterator[tuple[int, str]]:
    """Row and reason, the more basic reason of a row first."""
    height, width = size_hw or (np.inf, np.inf)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # (N, 2)
    is_outside = ((centres < 0) | (centres > (width, height))).any(axis=1)
    grades = values[:, values.shape[1] - len(layout.grades) :]
    is_grade = (grades == np.round(grades)) & (np.abs(grades) < 128)
    is_grade |= np.isin(layout.grades, _NOT_A_GRADE)
    checks = (
        (~np.isfinite(values).all(axis=1), "not a finite number"),
        (~(boxes[:, 2:] > boxes[:, :2]).all(axis=1), "the box has no area: width and height must be above 0"),
        (is_outside, f"the centre of the box lies outside of the picture{_size_text(size_hw)}"),
        (~is_grade.all(axis=1), f"{', '.join(layout.grades)} must be whole numbers from -127 to 127"),
        (_is_repeated(values), "the same row stands above already"),
    )
    for is_faulty, reason in checks:
        for row in np.flatnonzero(is_faulty):
            yield int(row), reason


def _size_text(size_hw: tuple[int, int] | None) -> str:
    return f" of {size_hw[1]} x {size_hw[0]} pixels" if size_hw else ""


def _is_repeated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether an earlier row has the same values."""
    if not len(values):
        return np.zeros(0, dtype=bool)
    first = np.unique(values, axis=0, return_index=True)[1]
    return ~np.isin(np.arange(len(values)), first)


def _has_far_landmark(boxes: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    slack = (boxes[:, 2:] - boxes[:, :2]) * np.float32(LANDMARK_SLACK)  # (N, 2)
    lowest, highest = (boxes[:, :2] - slack)[:, None], (boxes[:, 2:] + slack)[:, None]  # (N, 1, 2)
    return np.asarray(((landmarks < lowest) | (landmarks > highest)).any(axis=(1, 2)))


def _grades(
    values: NDArray[np.float64], layout: Layout
) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.int8]]]:
    """Who is ignored, and what else is known, of each face."""
    columns = dict(zip(layout.grades, values[:, values.shape[1] - len(layout.grades) :].T, strict=True))
    is_ignored = np.zeros(len(values), dtype=bool)
    for flag in _IGNORE_FLAGS:
        is_ignored |= columns.pop(flag, np.zeros(len(values))) > 0
    return is_ignored, {
        name: grades.astype(np.int8) for name, grades in columns.items() if name not in _NOT_A_GRADE
    }
