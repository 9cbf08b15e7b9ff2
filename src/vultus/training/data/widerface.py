"""Reading the label files of WIDER FACE; which format one has is recognised from its content.

- **Official** (`wider_face_train_bbx_gt.txt`): a line with the image's name, a line with the number of faces,
  then `x y w h blur expression illumination invalid occlusion pose` for each. An image without faces says 0
  and is still followed by one row, of zeros.
- **RetinaFace** (`label.txt`): `# name`, then for each face `x y w h`, five landmarks and some grades. Public
  files differ in what follows the box: `RETINAFACE` lists what is known.
- **YOLO**: a folder with one file per image, see `yolo_labels.py`.

In all of them -1 -1 is a landmark that nobody has marked.

Yang, Luo, Loy, Tang: WIDER FACE: a face detection benchmark. CVPR 2016. https://arxiv.org/abs/1511.06523
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from vultus.errors import InputError
from vultus.training.data.annotations import Annotations
from vultus.training.data.label_rows import Layout, Row, Section, read_sections, usual_layout
from vultus.training.data.yolo_labels import read_yolo

OFFICIAL: Final = Layout(grades=("blur", "expression", "illumination", "invalid", "occlusion", "pose"))
_RETINAFACE_GRADES: Final = ("blur", "ignore", "occlusion", "pose")
RETINAFACE: Final = (
    Layout(),  # validation lists: boxes alone
    Layout(values_per_point=2),
    Layout(values_per_point=2, grades=_RETINAFACE_GRADES),
    Layout(values_per_point=3, n_unused=1),  # RetinaFace's own file: the last value is a confidence
    Layout(values_per_point=3, grades=_RETINAFACE_GRADES),
)
_IMAGE_NAME: Final = re.compile(r"\S.*\.(avif|bmp|jpe?g|png|tiff?|webp)", re.IGNORECASE)
_EXPECTED: Final = (
    f"expected the official wider_face_*_bbx_gt.txt (a name, a count, rows of {OFFICIAL.width} values), "
    "RetinaFace's label.txt ('# name', then rows), or a folder of YOLO's .txt files"
)


def read_widerface(labels: Path, *, images: Path | None = None, opens_images: bool = False) -> Annotations:
    """What labels in one of the three formats say.

    Args:
        labels: the label file; for YOLO the folder that holds `labels` and `images`, or `labels` itself.
        images: the folder that the images' names are relative to. By default `images` beside the label file,
            or, for an official list that lies where it was unpacked, `../WIDER_train/images` (or `val`).
        opens_images: read the header of every image: one that is missing is reported and left out, and so is
            a box that lies outside of its image. YOLO's images are opened in any case, for their sizes.

    Raises:
        InputError: there are no such labels, or they have none of the formats.
    """
    if labels.is_dir():
        return read_yolo(labels, images=images)
    rows = _rows(labels)
    if rows[0].text.startswith("#"):
        sections = list(_retinaface_sections(rows, labels, images or labels.parent / "images"))
        layout = usual_layout(sections, RETINAFACE, labels=labels)
    elif len(rows) > 1 and _IMAGE_NAME.fullmatch(rows[0].text) and rows[1].text.isdecimal():
        sections = list(_official_sections(rows, labels, images or _official_images(labels)))
        layout = OFFICIAL
    else:
        raise InputError(f"{labels} begins with {rows[0].text[:60]!r}, which is no known format: {_EXPECTED}")
    return read_sections(sections, layout, opens_images=opens_images)


def _rows(labels: Path) -> Sequence[Row]:
    """The lines that are not empty; at least one."""
    try:
        lines = labels.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"cannot read the labels {labels}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{labels} is no text: {_EXPECTED}") from error
    rows = [Row(line, text.strip()) for line, text in enumerate(lines, start=1) if text.strip()]
    if not rows:
        raise InputError(f"{labels} is empty: {_EXPECTED}")
    return rows


def _retinaface_sections(rows: Sequence[Row], labels: Path, images: Path) -> Iterator[Section]:
    starts = [index for index, row in enumerate(rows) if row.text.startswith("#")]
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        name = rows[start].text.removeprefix("#").strip().lstrip("/")
        yield Section(images / name, rows[start], rows[start + 1 : end], labels)


def _official_images(labels: Path) -> Path:
    """Where the archives of WIDER FACE put them, if those lie side by side; else beside the list."""
    split = re.fullmatch(r"wider_face_(train|val)_bbx_gt\.txt", labels.name)
    unpacked = labels.parent.parent / f"WIDER_{split[1] if split else ''}" / "images"
    return unpacked if unpacked.is_dir() else labels.parent / "images"


def _official_sections(rows: Sequence[Row], labels: Path, images: Path) -> Iterator[Section]:
    starts = [index for index, row in enumerate(rows) if _IMAGE_NAME.fullmatch(row.text)]
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        heading, count, faces = rows[start], rows[start + 1 : start + 2], rows[start + 2 : end]
        count_text = count[0].text if count else "missing"
        if count_text == "0" and len(faces) == 1 and set(faces[0].text.split()) == {"0"}:
            faces = []
        is_complete = count_text.isdecimal() and int(count_text) == len(faces)
        fault = "" if is_complete else f"its count is {count_text}, and {len(faces)} rows follow"
        yield Section(images / heading.text, heading, faces, labels, fault)
