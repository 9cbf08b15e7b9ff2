"""Sets of face crops, some or all of them labelled with whose face they show.

A set may lie in a folder per person, in a list, in tar shards or in MXNet records: all of them are an
`IdentitySet`, and so is a selection of one (`select`) and one whose decoded crops are kept (`crop_cache`).
Crops are aligned faces, (H, W, 3) uint8 RGB; who they show is a number, `identity_index`, which counts the
people of the set from 0, so that it is the class of a softmax; -1 is a face of nobody known.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError
from vultus.image import DEFAULT_MAX_PIXELS
from vultus.image.decode import decode
from vultus.types import Image

UNLABELLED: Final = -1

IdentityIndex = NDArray[np.int64]
"""(N,) whose face each crop shows, 0 .. C - 1; -1 where that is not known."""


class IdentitySet(Protocol):
    """N face crops of C people. Safe to read from several threads and processes."""

    @property
    def identity_index(self) -> IdentityIndex:
        """(N,) whose face each crop shows: a position in `names`, or -1."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """(C,) the people; each has at least one crop."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes when the crops or their order change: what is kept of them is kept under this name."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB.

        Raises:
            InputError: the crop cannot be read (an `ImageError` where it cannot be decoded).
        """
        ...


class Selection:
    """Some crops of a set, in an order of their own, with the people who are left counted anew.

    Attributes:
        indices: (N,) int64, which crops of the whole set these are: what is known of the whole set by row
            (teacher embeddings, landmarks) is known of these by `whole[indices]`.
        identity_index: (N,) as for every set.
        names: (C,) those people who have a crop here, in their old order.
    """

    def __init__(self, faces: IdentitySet, indices: ArrayLike) -> None:
        self._faces = faces
        self.indices = _checked_indices(indices, len(faces))
        chosen = faces.identity_index[self.indices]
        present = np.unique(chosen[chosen >= 0])
        self.identity_index = np.where(chosen >= 0, np.searchsorted(present, chosen), UNLABELLED)
        self.names = tuple(faces.names[number] for number in present)

    @property
    def fingerprint(self) -> str:
        """Of the whole set and the selection."""
        return digest([self._faces.fingerprint], self.indices.tobytes())

    def __len__(self) -> int:
        return len(self.indices)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB."""
        return self._faces.crop(int(self.indices[index]))


def select(faces: IdentitySet, indices: ArrayLike) -> Selection:
    """The crops at these positions.

    Args:
        faces: the whole set.
        indices: (N,) positions in it, or a (len(faces),) bool mask.

    Raises:
        ShapeError: neither positions in one row nor a mask of that length.
        InputError: a position that is not in the set, or none at all.
    """
    return Selection(faces, indices)


def labelled(faces: IdentitySet, *, min_crops: int = 1) -> Selection:
    """The crops of people who are known and have at least `min_crops` of them.

    Raises:
        InputError: there are none.
    """
    counts = crop_counts(faces)
    enough = np.append(counts >= min_crops, np.False_)  # the last one is where -1 looks
    return Selection(faces, enough[faces.identity_index])


def crop_counts(faces: IdentitySet) -> NDArray[np.int64]:
    """(C,) how many crops each person has."""
    known = faces.identity_index[faces.identity_index >= 0]
    return np.bincount(known, minlength=len(faces.names)).astype(np.int64)


def numbered(labels: Sequence[str]) -> tuple[IdentityIndex, tuple[str, ...]]:
    """Number the people that labels name; an empty label is nobody known.

    Numbers count as numbers, so that the labels 0 .. C - 1 keep theirs; otherwise names are sorted as text.

    Returns:
        (N,) identity_index, and the (C,) names.
    """
    found = {label for label in labels if label}
    by_value = all(label.isdecimal() for label in found)
    names = sorted(found, key=lambda label: (int(label) if by_value else 0, label))
    number = {name: index for index, name in enumerate(names)} | {"": UNLABELLED}
    return np.array([number[label] for label in labels], dtype=np.int64), tuple(names)


def decoded(data: bytes, *, what: str) -> Image:
    """(H, W, 3) RGB out of the bytes of an image file.

    Raises:
        ImageError: they are no image; the message calls them `what`.
    """
    return decode(io.BytesIO(data), what=what, max_pixels=DEFAULT_MAX_PIXELS)


def digest(texts: Iterable[str], data: bytes = b"") -> str:
    """A short name for these texts and bytes, different for others."""
    told = hashlib.sha256(data)
    for text in texts:
        told.update(text.encode() + b"\0")
    return told.hexdigest()[:16]


def stamp(path: Path) -> str:
    """Name, size and time of a file: what changes when the file does, without reading it.

    Raises:
        InputError: there is no such file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def _checked_indices(indices: ArrayLike, count: int) -> NDArray[np.int64]:
    chosen = np.asarray(indices)
    if chosen.dtype == np.bool_ and chosen.shape == (count,):
        chosen = np.flatnonzero(chosen)
    if chosen.ndim != 1 or not (chosen.dtype.kind in "iu" or chosen.size == 0):
        raise ShapeError(
            f"expected positions in one row, or a mask of {count:,}, got {chosen.dtype} {chosen.shape}"
        )
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= count:
        raise InputError(
            f"expected at least one position from 0 to {count - 1:,}, got "
            + (f"{chosen.min():,} to {chosen.max():,}" if chosen.size else "none")
        )
    return chosen.astype(np.int64)
