"""The rows of a label file, one face each -> annotated images, and a reason for each row that is unusable.

A row that is wrong is reported and left out; one whose landmarks alone are wrong is reported and used without
them. An image of which no row is usable is left out whole: it has faces, and would be taken for background.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.errors import ImageError, InputError
from vultus.image import image_size_hw
from vultus.training.data.annotations import AnnotatedImage, Annotations, RejectedRow
from vultus.types import FloatArray

UNKNOWN: Final = -1.0  # both coordinates of a landmark that nobody has marked
LANDMARK_SLACK: Final = 0.5  # how far outside of its box a landmark may lie, in sides of the box
_LIMIT: Final = 1_000_000
_HIGHEST_GRADE: Final = 127  # int8
_IGNORE_FLAGS: Final = ("ignore", "invalid")


class Layout(NamedTuple):
    """What the values of a row mean, in their order: box, five points, grades, and what is not used.

    Attributes:
        values_per_point: 2 (x y), 3 (x y and a visibility, which is not used), or 0 without points.
        grades: the names of the whole numbers after the points.
        n_unused: how many values follow at the end that nobody needs here.
        is_yolo: the box is "class centre-x centre-y width height", and all are fractions of the image's
            sides; otherwise it is "x y width height", and all are pixels.
    """

    values_per_point: int = 0
    grades: tuple[str, ...] = ()
    n_unused: int = 0
    is_yolo: bool = False

    @property
    def width(self) -> int:
        """How many values a row has."""
        return 4 + self.is_yolo + 5 * self.values_per_point + len(self.grades) + self.n_unused


class Row(NamedTuple):
    """A line of a label file, without the white space around it; `line` is counted from 1."""

    line: int
    text: str


class Section(NamedTuple):
    """What a label file says about one image.

    Attributes:
        path: the image.
        heading: the line that names the image; line 0 where the file's own name does.
        rows: one for each face.
        file: the label file.
        fault: why all this cannot be used; empty where it can.
    """

    path: Path
    heading: Row
    rows: Sequence[Row]
    file: Path
    fault: str = ""


def usual_layout(sections: Sequence[Section], layouts: Sequence[Layout], *, labels: Path) -> Layout:
    """The layout that most rows have; rows of another width will be rejected one by one.

    Raises:
        InputError: most rows have a width that no layout has.
    """
    widths = Counter(len(row.text.split()) for section in sections for row in section.rows)
    by_width = {layout.width: layout for layout in layouts}
    usual = widths.most_common(1)[0][0] if widths else layouts[0].width
    if usual not in by_width:
        known = ", ".join(map(str, by_width))
        raise InputError(f"most rows of {labels} have {usual} values: expected one of {known}")
    return by_width[usual]


def read_sections(sections: Iterable[Section], layout: Layout, *, opens_images: bool) -> Annotations:
    """The faces of all images.

    Args:
        sections: the images and their rows.
        layout: what the values of the rows mean.
        opens_images: look at the images' headers: a missing one is reported, and the sizes tell which boxes
            lie outside. Otherwise only a box left of or above its image is known to.
    """
    images: list[AnnotatedImage] = []
    rejected: list[RejectedRow] = []
    seen: set[Path] = set()
    for section in sections:
        fault = section.fault or ("the same image stands above already" if section.path in seen else "")
        seen.add(section.path)
        size_hw = None
        if opens_images and not fault:
            try:
                size_hw = image_size_hw(section.path)
            except ImageError as error:
                fault = str(error)
        if fault:
            reason = f"{fault}: the image is left out, with its rows ({len(section.rows)})"
            rejected.append(RejectedRow(*section.heading, reason, section.file))
            continue
        image, faulty = _read_section(section, layout, size_hw=size_hw)
        if image is not None:  # it may hold no face, and be false
            images.append(image)
        rejected += faulty
    return Annotations(tuple(images), tuple(rejected))


def _read_section(
    section: Section, layout: Layout, *, size_hw: tuple[int, int] | None
) -> tuple[AnnotatedImage | None, list[RejectedRow]]:
    """The image, or None where it has rows and none of them is usable; and the rows to report."""
    values, faults = _numbers(section.rows, layout.width)
    boxes, landmarks = _boxes(values, layout, size_hw), _landmarks(values, layout, size_hw)
    for is_faulty, reason in _checks(values, boxes, layout, size_hw=size_hw):
        for index in np.flatnonzero(is_faulty.any(axis=1)).tolist():
            faults.setdefault(index, reason)  # what is no number has its reason already
    keep = np.array([index not in faults for index in range(len(values))], dtype=bool)
    is_far = keep & _has_far_landmark(boxes, landmarks)
    landmarks[is_far] = np.nan
    for index in np.flatnonzero(is_far).tolist():
        faults[index] = "a landmark lies far outside of its box: the face is used without landmarks"
    rejected = [RejectedRow(*section.rows[index], faults[index], section.file) for index in sorted(faults)]
    if len(values) and not keep.any():
        reason = "none of its rows is usable: the image is left out, because it does have faces"
        return None, [RejectedRow(*section.heading, reason, section.file), *rejected]
    is_ignored, attributes = _graded(_grades(values[keep], layout), layout)
    return AnnotatedImage(section.path, boxes[keep], landmarks[keep], is_ignored, attributes), rejected


def _graded(
    grades: NDArray[np.float64], layout: Layout
) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.int8]]]:
    """Whether each face is to be ignored, and its other grades by name."""
    columns = dict(zip(layout.grades, grades.T, strict=True))
    flags = [columns.pop(name) > 0 for name in _IGNORE_FLAGS if name in columns]
    is_ignored = np.any([np.zeros(len(grades), dtype=bool), *flags], axis=0)
    return is_ignored, {name: column.astype(np.int8) for name, column in columns.items()}


def _numbers(rows: Sequence[Row], width: int) -> tuple[NDArray[np.float64], dict[int, str]]:
    """(N, width) values, NaN in the rows for which the second result holds a reason."""
    values, faults = np.full((len(rows), width), np.nan), dict[int, str]()
    for index, row in enumerate(rows):
        words = row.text.split()
        if len(words) != width:
            faults[index] = f"expected {width} values, got {len(words)}"
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError as error:
            faults[index] = f"not a number: {error}"
            continue
        if all(abs(number) < _LIMIT for number in numbers):  # NaN is not
            values[index] = numbers
        else:
            faults[index] = f"not finite, or beyond {_LIMIT:,}"
    return values, faults


def _boxes(values: NDArray[np.float64], layout: Layout, size_hw: tuple[int, int] | None) -> FloatArray:
    """(N, 4) corners in pixels."""
    corner, size = values[:, layout.is_yolo :][:, :2], values[:, layout.is_yolo :][:, 2:4]
    if layout.is_yolo:
        side_wh = _side_wh(size_hw)
        corner, size = (corner - size / 2) * side_wh, size * side_wh
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


def _landmarks(values: NDArray[np.float64], layout: Layout, size_hw: tuple[int, int] | None) -> FloatArray:
    """(N, 5, 2) in pixels, NaN where unknown."""
    if not layout.values_per_point:
        return np.full((len(values), 5, 2), np.nan, np.float32)
    start = 4 + layout.is_yolo
    points = values[:, start : start + 5 * layout.values_per_point]
    landmarks = points.reshape(len(values), 5, layout.values_per_point)[..., :2].copy()
    landmarks[(landmarks == UNKNOWN).all(axis=2)] = np.nan
    return (landmarks * _side_wh(size_hw) if layout.is_yolo else landmarks).astype(np.float32)


def _side_wh(size_hw: tuple[int, int] | None) -> NDArray[np.float64]:
    if size_hw is None:
        raise ImageError("fractions of an image mean nothing without the image: open it")
    return np.array(size_hw[::-1], dtype=np.float64)


def _grades(values: NDArray[np.float64], layout: Layout) -> NDArray[np.float64]:
    """(N, number of grades)."""
    start = 4 + layout.is_yolo + 5 * layout.values_per_point
    return values[:, start : start + len(layout.grades)]


def _checks(
    values: NDArray[np.float64], boxes: FloatArray, layout: Layout, *, size_hw: tuple[int, int] | None
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """What is wrong, (N, k) bool, and how to say it; the more basic reason first."""
    if layout.is_yolo:
        yield values[:, :1] != 0, "another class than 0, the face"
    yield boxes[:, 2:] <= boxes[:, :2], "the box has no area: width and height must be above 0"
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # (N, 2)
    side_wh = np.inf if size_hw is None else _side_wh(size_hw)
    size_text = "" if size_hw is None else f" of {size_hw[1]} x {size_hw[0]} pixels"
    is_outside = (centres < 0) | (centres > side_wh)
    yield is_outside, f"the centre of the box lies outside of the picture{size_text}"
    grades = _grades(values, layout)
    is_no_grade = (np.abs(grades) > _HIGHEST_GRADE) | (grades != np.round(grades))
    yield is_no_grade, f"{', '.join(layout.grades)} must be whole numbers up to {_HIGHEST_GRADE}"
    yield _is_repeated(values)[:, None], "the same row stands above already"


def _is_repeated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether an earlier row has the same values."""
    keys = [row.tobytes() for row in values]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    return np.array([first[key] < index for index, key in enumerate(keys)], dtype=bool)


def _has_far_landmark(boxes: FloatArray, landmarks: FloatArray) -> NDArray[np.bool_]:
    slack = (boxes[:, 2:] - boxes[:, :2]) * np.float32(LANDMARK_SLACK)  # (N, 2)
    lowest, highest = (boxes[:, :2] - slack)[:, None], (boxes[:, 2:] + slack)[:, None]  # (N, 1, 2)
    return np.asarray(((landmarks < lowest) | (landmarks > highest)).any(axis=(1, 2)))
