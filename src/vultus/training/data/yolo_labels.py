"""YOLO's label files: `labels/<name>.txt` beside `images/<name>.jpg`, one row a face.

A row is `class cx cy w h`, centre and size of the box in fractions of the image's sides; YOLOv5-Face appends
the five landmarks (`x y`, -1 -1 where unknown), YOLO's pose files `x y visibility` for each. Class 0 is the
face. An empty file says that there is no face; an image without a file says nothing, and is left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vultus.errors import InputError
from vultus.training.data.annotations import Annotations
from vultus.training.data.label_rows import Layout, Row, Section, read_sections, usual_layout

YOLO: Final = tuple(Layout(values_per_point=values, is_yolo=True) for values in (0, 2, 3))
_SUFFIXES: Final = frozenset((".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))


def read_yolo(labels: Path, *, images: Path | None = None) -> Annotations:
    """What a folder of label files says, in the order of their names.

    Args:
        labels: the folder of the files (sub-folders are searched too), or the one above it that holds it as
            `labels`.
        images: the folder of the images, with the same sub-folders; by default `images` beside `labels`.

    Raises:
        InputError: no label file is there, or their rows are of no known width.
    """
    folder = labels / "labels" if (labels / "labels").is_dir() else labels
    files = sorted(folder.rglob("*.txt"))
    if not files:
        raise InputError(f"{folder} holds no label file: expected YOLO's labels/*.txt")
    sections = list(_sections(folder, files, images or folder.parent / "images"))
    return read_sections(sections, usual_layout(sections, YOLO, labels=folder), opens_images=True)


def _sections(folder: Path, files: list[Path], images: Path) -> Iterator[Section]:
    """One for each label file, then one for each image that has none."""
    unlabelled = {
        path.relative_to(images).with_suffix(""): path
        for path in sorted(images.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    }
    for file in files:
        name = file.relative_to(folder).with_suffix("")
        lines = file.read_text("utf-8-sig", errors="replace").splitlines()
        rows = [Row(line, text.strip()) for line, text in enumerate(lines, start=1) if text.strip()]
        path = unlabelled.pop(name, None)
        fault = "" if path else f"there is no image of that name in {images}"
        yield Section(path or images / name, Row(0, str(name)), rows, file, fault)
    for name, path in unlabelled.items():
        fault = "no label file (an empty one would say that there is no face)"
        yield Section(path, Row(0, str(name)), (), folder, fault)
