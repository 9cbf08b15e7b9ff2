"""Which of YOLOv5-Face's predictions are to find which face.

Sizes decide about the anchor, on every level. A face w x h (pixels) goes to each anchor with

    max(w / a_w, a_w / w, h / a_h, a_h / h) < 4

so perhaps to several levels, or to none: (2 sigmoid(t))^2 a reaches from 0 to 4 a. Places decide about the
cell. A prediction's centre reaches half a cell beyond its own cell. So besides the cell that holds the face's
centre, the nearer one of its left and right neighbours is to find the face, and the nearer one of those above
and below: three cells, two at an edge of the map, one in its corner.

Differs from YOLOv5: a face whose centre lies outside of the image has no cell; there it is moved inside.

**The trap.** What is matched to nothing is background to the loss. So ignored faces are matched as well, and
what would find them is named: it is to learn nothing.

Qi, Tan, Yao, Liu: YOLO5Face: Why reinventing a face detector. ECCVW 2022. https://arxiv.org/abs/2105.12931
Jocher: YOLOv5. 2020. https://doi.org/10.5281/zenodo.3908559
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.training.data.sample import Sample
from vultus.training.losses.yolov5_face import LevelTargets
from vultus.types import FloatArray

MAX_RATIO = 4.0  # between a face's and an anchor's side


class _Faces(NamedTuple):
    """The M faces of a batch, in pixels."""

    image_index: NDArray[np.intp]
    is_ignored: NDArray[np.bool_]
    centres: FloatArray  # (M, 2)
    sizes_wh: FloatArray  # (M, 2)
    landmarks: FloatArray  # (M, 5, 2)


def assign_cells(
    samples: Sequence[Sample],
    *,
    size_hw: tuple[int, int],
    anchors_wh: Sequence[Sequence[tuple[float, float]]],
    strides: Sequence[int],
) -> list[LevelTargets]:
    """The targets of a batch.

    Args:
        samples: N images of one size and their faces.
        size_hw: height and width of the images, in pixels; multiples of all strides.
        anchors_wh: width and height in pixels of the anchors of each level, as `YOLOV5_FACE_ANCHORS`.
        strides: pixels per cell of each level, finest first.

    Returns:
        For each level the matched predictions; `rows` count through the network's map
        (N, anchor, row, column, 16) as `.reshape(-1, 16)`.

    Raises:
        InputError: the levels disagree, or the size is not a multiple of a stride.
        ShapeError: an image of another size.
    """
    if len(anchors_wh) != len(strides) or any(side % stride for side in size_hw for stride in strides):
        raise InputError(
            f"expected anchors for each stride of {tuple(strides)} and an image size of multiples of all, "
            f"got {len(anchors_wh)} groups of anchors and {size_hw}"
        )
    for sample in samples:
        if sample.size_hw != size_hw:
            raise ShapeError(f"all images must have size_hw {size_hw}, got {sample.size_hw}")
    faces = _faces(samples, size_hw=size_hw)
    return [
        _assign_level(
            faces,
            np.asarray(anchors, np.float32),
            stride=stride,
            grid_hw=(size_hw[0] // stride, size_hw[1] // stride),
        )
        for anchors, stride in zip(anchors_wh, strides, strict=True)
    ]


def _faces(samples: Sequence[Sample], *, size_hw: tuple[int, int]) -> _Faces:
    """The faces of all samples that have their centre in the image."""
    counts = [len(sample.boxes) for sample in samples]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(sample.boxes for sample in samples)])
    landmarks = np.concatenate([np.zeros((0, 5, 2), np.float32), *(sample.landmarks for sample in samples)])
    is_ignored = np.concatenate([np.zeros(0, np.bool_), *(sample.is_ignored for sample in samples)])
    image_index = np.repeat(np.arange(len(samples)), counts)
    centres, sizes_wh = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    is_inside = ((centres >= 0) & (centres < np.array(size_hw[::-1]))).all(axis=1)
    every = _Faces(image_index, is_ignored, centres, sizes_wh, landmarks)
    return _Faces(*(field[is_inside] for field in every))


def _assign_level(
    faces: _Faces, anchors_wh: FloatArray, *, stride: int, grid_hw: tuple[int, int]
) -> LevelTargets:
    """The targets of one level.

    Args:
        faces: M faces.
        anchors_wh: (K, 2) in pixels.
        stride: pixels per cell.
        grid_hw: rows and columns of the map.
    """
    ratios = faces.sizes_wh[:, None] / anchors_wh  # (M, K, 2)
    is_fit = np.maximum(ratios, 1 / ratios).max(axis=2) < MAX_RATIO  # (M, K)
    candidates, is_cell = _cells(faces.centres / stride, grid_hw=grid_hw)
    face, anchor, which = np.nonzero(is_fit[:, :, None] & is_cell[:, None])
    cells = candidates[face, which]  # (T, 2) column, row
    rows_count, columns_count = grid_hw
    rows = faces.image_index[face] * len(anchors_wh) + anchor
    rows = ((rows * rows_count + cells[:, 1]) * columns_count + cells[:, 0]).astype(np.int64)
    is_ignored = faces.is_ignored[face]
    face, anchor, cells = face[~is_ignored], anchor[~is_ignored], cells[~is_ignored]
    landmarks = faces.landmarks[face] / stride
    boxes = np.concatenate([faces.centres, faces.sizes_wh], axis=1)[face] / stride
    return LevelTargets(
        rows=torch.from_numpy(rows[~is_ignored]),
        cells=_floats(cells),
        anchors_wh=_floats(anchors_wh[anchor] / stride),
        boxes_cxcywh=_floats(boxes),
        landmarks=_floats(np.nan_to_num(landmarks)),
        is_labelled=torch.from_numpy(np.isfinite(landmarks).all(axis=2)),
        ignored_rows=torch.from_numpy(rows[is_ignored]),
    )


def _cells(
    centres: NDArray[np.floating], *, grid_hw: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The cells that may find a face: its own, and the nearer neighbours beside and above or below.

    Args:
        centres: (M, 2) x y in cells, inside the map.
        grid_hw: rows and columns of the map.

    Returns:
        (M, 3, 2) column, row; (M, 3) whether there is such a cell.
    """
    own = np.floor(centres).astype(np.intp)
    towards = np.sign(centres - own - 0.5).astype(np.intp)  # (M, 2): -1, 1, or 0 right in the middle
    steps = towards[:, None] * np.array([[0, 0], [1, 0], [0, 1]])  # (M, 3, 2)
    cells = own[:, None] + steps
    is_inside = ((cells >= 0) & (cells < np.array(grid_hw[::-1]))).all(axis=2)
    is_new = np.column_stack([np.ones(len(own), np.bool_), towards != 0])
    return cells, np.asarray(is_inside & is_new)


def _floats(values: NDArray[np.generic]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
