"""A teacher's embeddings of all crops of a set, computed once and kept: every epoch after that is cheap.

The target is the unit mean of the face and its mirror image: better than either, and the same for both, so
the student learns that a face and its mirror image are one person. What a killed run has computed is kept in
pieces, and the next one goes on there.
"""

import shutil
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vultus.errors import InputError
from vultus.image import replace_file
from vultus.interfaces import Embedder
from vultus.training.data.identities import IdentitySet, digest
from vultus.types import Crops

PIECE_ROWS = 512


def read_teacher(path: Path, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The (N, D) unit embeddings of these rows of a file.

    Args:
        path: (M, D) in NumPy's format, any float type.
        rows: (N,) which of them.

    Raises:
        InputError: no such file, no embeddings, fewer than the rows ask for, or one without a direction.
    """
    try:
        kept = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read a teacher's embeddings from {path}: {error}") from error
    if kept.ndim != 2 or kept.dtype.kind != "f" or len(kept) <= rows.max():
        raise InputError(
            f"{path} must hold floats (M, D) for at least {rows.max() + 1:,} crops, "
            f"got {kept.dtype} {kept.shape}"
        )
    chosen = np.asarray(kept[rows], dtype=np.float32)
    lengths = np.linalg.norm(chosen, axis=1, keepdims=True)
    if not (lengths > 0).all() or not np.isfinite(lengths).all():
        lost = int(rows[~(np.isfinite(lengths) & (lengths > 0)).ravel()][0])
        raise InputError(f"{path} has no embedding in row {lost:,}: all zeros, or not finite")
    return np.asarray(chosen / lengths, dtype=np.float32)


def teacher_embeddings(
    faces: IdentitySet,
    teacher: Embedder,
    folder: Path,
    *,
    size_px: int = 112,
    piece_rows: int = PIECE_ROWS,
) -> Path:
    """The file with the teacher's embeddings of every crop, made now or finished now if need be.

    Args:
        faces: the crops; their middle `size_px` pixels are what the teacher sees.
        teacher: takes crops of that size.
        folder: where the file is kept, under a name of teacher and set.
        size_px: of the teacher's input.
        piece_rows: crops between two pieces, the most that a killed run loses.

    Raises:
        InputError: a crop that is too small or cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"teacher-{digest([teacher.contract, faces.fingerprint])}.npy"
    with FileLock(path.with_suffix(".lock")):  # the processes of a run wait for the first of them
        if not path.exists():
            _embed_all(faces, teacher, path, size_px=size_px, piece_rows=piece_rows)
    return path


def _embed_all(faces: IdentitySet, teacher: Embedder, path: Path, *, size_px: int, piece_rows: int) -> None:
    """Piece by piece, those that are there already left out; then the pieces become one file."""
    parts = path.with_suffix("")
    parts.mkdir(exist_ok=True)
    starts = range(0, len(faces), piece_rows)
    console = Console(stderr=True)
    for start in track(starts, description="Teacher", console=console, disable=not console.is_terminal):
        part = parts / f"{start:09}.npy"
        if not part.exists():
            numbers = range(start, min(start + piece_rows, len(faces)))
            crops = np.stack([middle(faces.crop(i), size_px) for i in numbers])
            with replace_file(part) as stream:
                np.save(stream, mirror_averaged(teacher, crops).astype(np.float16))
    pieces = [parts / f"{start:09}.npy" for start in starts]
    with replace_file(path) as stream:
        np.save(stream, np.concatenate([np.load(piece) for piece in pieces]))
    shutil.rmtree(parts)  # a killed run may have left what it was writing


def mirror_averaged(teacher: Embedder, crops: Crops) -> NDArray[np.float32]:
    """(N, D) unit means of the embeddings of (N, S, S, 3) crops and of their mirror images."""
    mirrored = np.stack([np.asarray(cv2.flip(crop, 1), np.uint8) for crop in crops])
    both = teacher.embed(crops) + teacher.embed(mirrored)
    return np.asarray(both / np.linalg.norm(both, axis=1, keepdims=True), dtype=np.float32)


def middle(crop: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """The (size_px, size_px, 3) in the middle of a larger crop.

    Raises:
        InputError: the crop is smaller.
    """
    height, width, _ = crop.shape
    if min(height, width) < size_px:
        raise InputError(f"crops must be at least {size_px} px, got {height} x {width}: align them anew")
    top, left = (height - size_px) // 2, (width - size_px) // 2
    return crop[top : top + size_px, left : left + size_px]
