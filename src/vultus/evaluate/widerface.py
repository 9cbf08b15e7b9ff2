"""The official ground truth of WIDER FACE's validation set, as its evaluation reads it.

Four MATLAB files: `wider_face_val.mat` holds the boxes of all faces, x y w h in pixels, image by image and
event by event; `wider_{easy,medium,hard}_val.mat` list for each image which of its faces count, by position
from 1. A face that is not on a list is not background: it is ignored at that difficulty.

Yang, Luo, Loy, Tang: WIDER FACE: A Face Detection Benchmark. CVPR 2016. https://arxiv.org/abs/1511.06523
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, MissingExtraError

DIFFICULTIES: Final = ("easy", "medium", "hard")


@dataclass(frozen=True, eq=False, slots=True)
class WiderTruth:
    """The faces of every image, those of one image in a row.

    Attributes:
        images: (I,) such as "0--Parade/0_Parade_marchingband_1_465.jpg": the event's folder and the file.
        first_face: (I + 1,) the faces of image i are `first_face[i] : first_face[i + 1]`.
        boxes: (F, 4) float64, x1 y1 x2 y2 in pixels, x2 = x + w and y2 = y + h as published. A few are empty.
        counts: for "easy", "medium" and "hard" (F,) bool: the face counts; if not, it is ignored.
    """

    images: tuple[str, ...]
    first_face: NDArray[np.intp]
    boxes: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.bool_]]

    def faces_of(self, image: int) -> slice:
        """Where the faces of the image at this position stand."""
        return slice(self.first_face[image], self.first_face[image + 1])


def read_widerface_truth(folder: Path) -> WiderTruth:
    """The ground truth of all 3,226 validation images, from the folder of the four official files.

    Raises:
        InputError: a file is missing, or is not the official one.
        MissingExtraError: scipy, which reads the files, is not installed.
    """
    faces = _read_mat(folder / "wider_face_val.mat")
    lists = {name: _read_mat(folder / f"wider_{name}_val.mat") for name in DIFFICULTIES}
    try:
        images = tuple(
            f"{event[0][0]}/{name[0][0]}.jpg"
            for event, names in zip(faces["event_list"], faces["file_list"], strict=True)
            for name in names[0]
        )
        rows = _by_image(faces["face_bbx_list"])
        first_face = np.cumsum([0, *(len(boxes) for boxes in rows)])
        boxes = np.concatenate(rows).astype(np.float64)
        counts = {
            name: _listed(_by_image(mat["gt_list"]), first_face=first_face) for name, mat in lists.items()
        }
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"{folder} does not hold the official ground truth of WIDER FACE: {error}"
        ) from error
    boxes[:, 2:] += boxes[:, :2]
    return WiderTruth(images, first_face, boxes, counts)


def _read_mat(path: Path) -> Mapping[str, Any]:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise MissingExtraError(
            "reading the ground truth of WIDER FACE needs scipy: pip install 'vultus[evaluate]'"
        ) from error
    try:
        return dict(loadmat(path, appendmat=False))
    except (OSError, ValueError, MatReadError) as error:
        raise InputError(f"cannot read the ground truth {path}: {error}") from error


def _by_image(cells: NDArray[Any]) -> list[NDArray[Any]]:
    """One array per image, of MATLAB's cells in cells: events, in them images."""
    return [image[0] for event in cells for image in event[0]]


def _listed(positions: list[NDArray[Any]], *, first_face: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(F,) whether each face is on the list that gives positions from 1 within each image."""
    if len(positions) != len(first_face) - 1:
        raise InputError(f"expected lists for {len(first_face) - 1:,} images, got {len(positions):,}")
    is_listed = np.zeros(first_face[-1], dtype=np.bool_)
    for first, listed in zip(first_face, positions, strict=False):
        is_listed[first + listed.astype(np.intp).ravel() - 1] = True
    return is_listed
