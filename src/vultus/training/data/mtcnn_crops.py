"""Training crops of one stage of MTCNN, in a folder of .npy files that are read as they are needed.

    images.npy         (N, 3, S, S) uint8, RGB
    kinds.npy          (N,) int8 `CropKind`
    offsets.npy        (N, 4) float32
    landmarks.npy      (N, 10) float32
    mirror_shifts.npy  (N,) float32, see `Seen.mirror_shifts`

A folder is written under another name and gets its own when it is whole: one that is there need not be made
again. Which crops are in it depends on the annotations, the settings and the seed alone.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.detect.area_means import AreaMeans
from vultus.detect.mtcnn_stages import WINDOW_PX
from vultus.geometry.boxes import Floats
from vultus.training.data.mtcnn_targets import Seen, Targets, targets_of
from vultus.training.data.mtcnn_windows import cells_of, cut_cells, cut_squares
from vultus.training.data.sample import Sample
from vultus.training.losses.mtcnn_multitask import CropKind

_HEADER_BYTES: Final = 128


class MtcnnCrops(NamedTuple):
    """N crops and what they should be answered with; fields as in the module's table."""

    images: NDArray[np.uint8]
    kinds: NDArray[np.int8]
    offsets: Floats
    landmarks: Floats
    mirror_shifts: Floats


def crops_of_squares(
    sample: Sample,
    squares: Floats,
    chance: np.random.Generator,
    *,
    size_px: int,
    limits: Mapping[CropKind, int],
    min_face_px: float = 0.0,
) -> MtcnnCrops:
    """The crops of one image in which a network is shown some of (N, 4) squares.

    Args:
        sample: the image and its faces.
        squares: first and last pixel, counted from 1; P-Net is shown the cell that is nearest to each.
        chance: what is drawn from.
        size_px: of the crops: 12, 24 or 48, for P-Net, R-Net or O-Net.
        limits: how many of each kind there are at most.
        min_face_px: a smaller face (its longer side) is neither learnt nor background.
    """
    picture = AreaMeans(sample.image)
    if size_px == WINDOW_PX:
        cells = cells_of(squares, sample.size_hw)
        seen = cells.seen(sample.size_hw)
        at, targets = chosen(targets_of(seen, sample, min_face_px=min_face_px), limits, chance)
        pixels = cut_cells(picture, cells.at(at))
    else:
        seen = Seen.of_squares(squares)
        at, targets = chosen(targets_of(seen, sample, min_face_px=min_face_px), limits, chance)
        pixels = cut_squares(picture, squares[at], size_px=size_px)
    return MtcnnCrops(pixels, *targets, mirror_shifts=np.asarray(seen.at(at).mirror_shifts, np.float32))


def chosen(
    targets: Targets, limits: Mapping[CropKind, int], chance: np.random.Generator
) -> tuple[NDArray[np.intp], Targets]:
    """Of N windows, at most so many of each kind, drawn at random.

    A positive whose face has landmarks may also be drawn as a LANDMARK: then it is there twice.

    Returns:
        (K,) positions of the windows, and their targets.
    """
    is_shown = (targets.kinds == CropKind.POSITIVE) & ~np.isnan(targets.landmarks).any(axis=1)
    positions, kinds = [], []
    for kind, limit in limits.items():
        candidates = np.flatnonzero(is_shown if kind == CropKind.LANDMARK else targets.kinds == kind)
        drawn = np.sort(chance.permutation(candidates)[:limit])
        positions.append(drawn)
        kinds.append(np.full(len(drawn), kind, np.int8))
    at = np.concatenate(positions)
    return at, Targets(np.concatenate(kinds), targets.offsets[at], targets.landmarks[at])


def write_crops(folder: Path, parts: Iterable[MtcnnCrops], *, size_px: int) -> None:
    """Make the folder, unless it is there: `parts` is then not looked at."""
    if folder.exists():
        return
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    facts: list[MtcnnCrops] = []
    with (partial / "images.npy").open("wb") as stream:
        stream.write(_header(0, size_px))
        for part in parts:
            stream.write(np.ascontiguousarray(part.images).tobytes())
            facts.append(part._replace(images=part.images[:0]))
        count = sum(len(part.kinds) for part in facts)
        stream.seek(0)
        stream.write(_header(count, size_px))
    for name in MtcnnCrops._fields[1:]:
        np.save(partial / f"{name}.npy", np.concatenate([getattr(part, name) for part in facts]))
    partial.rename(folder)


def read_crops(folder: Path) -> MtcnnCrops:
    """The crops in a folder; pixels stay in the file until they are asked for."""
    rest = [np.load(folder / f"{name}.npy") for name in MtcnnCrops._fields[1:]]
    return MtcnnCrops(np.load(folder / "images.npy", mmap_mode="r"), *rest)


def _header(count: int, size_px: int) -> bytes:
    """The header of an .npy file of bytes, always as long: the count is known when all is written."""
    shape = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 3, {size_px}, {size_px}), }}"
    start = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
    return start + shape.ljust(_HEADER_BYTES - 11).encode() + b"\n"
