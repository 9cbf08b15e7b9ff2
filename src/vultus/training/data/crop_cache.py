"""Decoded crops kept in one file that every process maps: decoding once instead of in every epoch.

53,000 crops of 128 x 128 are 2.6 GB on disk. Memory is taken as pages are read, shared by all processes, and
given back when the system wants it for something else.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vultus.errors import InputError, ShapeError
from vultus.training.data.identities import IdentityIndex, IdentitySet
from vultus.types import Image

_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


class CachedFaces:
    """A set whose decoded crops lie in a file.

    Args:
        faces: the set; only its labels are used.
        path: (N, H, W, 3) uint8, in NumPy's format.

    Attributes:
        identity_index: (N,) of the set.
        names: (C,) of the set.
        fingerprint: of the set.
        path: as given.
    """

    def __init__(self, faces: IdentitySet, path: Path) -> None:
        self.identity_index: IdentityIndex = faces.identity_index
        self.names = faces.names
        self.fingerprint = faces.fingerprint
        self.path = path

    def __len__(self) -> int:
        return len(self.identity_index)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB, not to be written to."""
        return np.asarray(_mapped(self.path)[index])


def cached(faces: IdentitySet, folder: Path) -> CachedFaces:
    """The set with its crops decoded, now or by an earlier call, into a file below `folder`.

    The file is named after the set's fingerprint. Processes that want the same one wait for the first; one
    that is killed leaves nothing that would be taken for whole.

    Args:
        faces: all crops of one size.
        folder: made if need be.

    Raises:
        ShapeError: the crops are of several sizes.
        InputError: a crop that cannot be read, or a place that cannot be written, for lack of room perhaps.
    """
    path = folder / f"crops-{faces.fingerprint}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _decode_all(faces, path)
    except OSError as error:
        raise InputError(f"cannot keep decoded crops in {folder}: {error.strerror or error}") from error
    return CachedFaces(faces, path)


def _decode_all(faces: IdentitySet, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    shape = faces.crop(0).shape
    layout = {"descr": "|u1", "fortran_order": False, "shape": (len(faces), *shape)}
    console = Console(stderr=True)
    with (
        temporary.open("wb") as stream,
        Progress(*_COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        np.lib.format.write_array_header_2_0(stream, layout)
        for index in progress.track(range(len(faces)), description="Decoding crops"):
            crop = faces.crop(index)
            if crop.shape != shape:
                raise ShapeError(
                    f"crop {index} has shape {crop.shape}, crop 0 {shape}: only crops of one size can be "
                    "kept; align the faces first"
                )
            stream.write(crop.tobytes())
    temporary.replace(path)


@lru_cache(maxsize=8)
def _mapped(path: Path) -> NDArray[np.uint8]:
    """Mapped once in each process, and never sent to another."""
    crops: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return crops
