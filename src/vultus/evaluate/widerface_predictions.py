"""Predictions in the text format that WIDER FACE's official evaluation reads.

One folder per event, in it one file per image, `0--Parade/0_Parade_marchingband_1_465.txt`:

    0_Parade_marchingband_1_465.jpg      the image
    2                                    how many boxes follow
    345.5 211 14.25 16 0.998             x y w h score, in pixels, best first
    26 192 6 8 0.41

An image in which nothing was found has a file, with 0 boxes. The format has no landmarks.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vultus.errors import InputError
from vultus.types import Detections


def write_widerface_predictions(predictions: Mapping[str, Detections], folder: Path) -> None:
    """Write one file per image. Numbers have nine significant digits, which tell every float32 apart.

    Args:
        predictions: by image, such as "0--Parade/0_Parade_marchingband_1_465.jpg".
        folder: made if need be.

    Raises:
        InputError: an image is not named by its event's folder and its file.
    """
    for image, faces in predictions.items():
        name = PurePosixPath(image)
        if len(name.parts) != 2 or ".." in name.parts or name.is_absolute():
            raise InputError(f"images are named EVENT/FILE.jpg, got {image!r}")
        path = folder / name.with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([name.name, str(len(faces)), *_rows(faces)]) + "\n", encoding="utf-8")


def read_widerface_predictions(folder: Path) -> dict[str, Detections]:
    """The predictions for each image, best score first; the landmarks, which the format lacks, are NaN.

    Raises:
        InputError: no files, or one that does not fit the format.
    """
    paths = sorted(folder.glob("*/*.txt"))
    if not paths:
        raise InputError(
            f"no predictions in {folder}: expected a folder per event, with a text file per image in it"
        )
    return {f"{path.parent.name}/{path.stem}.jpg": _read(path) for path in paths}


def _rows(faces: Detections) -> list[str]:
    boxes = faces.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    rows = np.column_stack([boxes, faces.scores])
    return [" ".join(f"{number:.9g}" for number in row) for row in rows.tolist()]


def _read(path: Path) -> Detections:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the predictions {path}: {error}") from error
    if len(lines) < 2 or PurePosixPath(lines[0].strip()).name.removesuffix(".jpg") != path.stem:
        raise InputError(f"{path} must begin with the image's name, {path.stem}.jpg, and a count")
    if lines[1].strip() != str(len(lines) - 2):
        raise InputError(f"{path} must announce its {len(lines) - 2} boxes in line 2, got {lines[1]!r}")
    rows = np.array([_numbers(path, line) for line in lines[2:]]).reshape(-1, 5)
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    return Detections(boxes, rows[:, 4], np.full((len(rows), 5, 2), np.nan))


def _numbers(path: Path, line: str) -> Sequence[float]:
    try:
        numbers = [float(field) for field in line.split()]
    except ValueError as error:
        raise InputError(f"{path}: expected x y w h score, got {line!r}") from error
    if len(numbers) != 5 or not np.isfinite(numbers).all():
        raise InputError(f"{path}: expected x y w h score, five finite numbers, got {line!r}")
    return numbers
