"""Face crops in tar files beside an index of them: few files to copy, and every crop within reach.

`index.csv` has a row for each crop; these columns are read, others may be there:

    shard, file                        the tar file, and the member in it
    source, identity, split            where it comes from; who it shows (empty: unknown); which part it is in
    left_eye_x ... right_mouth_y       five landmarks in pixels of the crop; empty where they are not known

Tar files have no table of contents: where its members lie is found once, when a shard's first crop is read. A
crop is then one read of one file, which is opened for it and closed: threads and processes share nothing.
"""

import csv
import tarfile
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.training.data.identities import decoded, digest, numbered, stamp
from vultus.types import FloatArray, Image

_POINTS: Final = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_LANDMARKS: Final = tuple(f"{point}_{axis}" for point in _POINTS for axis in "xy")
COLUMNS: Final = ("shard", "file", "source", "identity", "split", *_LANDMARKS)


class ShardFaces:
    """Crops in tar shards.

    Args:
        folder: where the shards and their index are.
        rows: which rows of the index, from 0.
        table: those rows.

    Attributes:
        rows: (N,) int64, the row of each crop in the index: a teacher's embeddings of the whole index are
            those of these crops by `embeddings[rows]`.
        sources: (N,) where each crop comes from.
        landmarks: (N, 5, 2) float32, x y in pixels of the crop, left and right as seen in it; NaN where they
            are not known.
        identity_index: (N,) whose face each crop shows.
        names: (C,) the people.
    """

    def __init__(self, folder: Path, rows: NDArray[np.int64], table: Mapping[str, tuple[str, ...]]) -> None:
        self._folder = folder
        self._members = tuple(zip(table["shard"], table["file"], strict=True))
        self._places: dict[str, Mapping[str, tuple[int, int]]] = {}
        self.rows = rows
        self.sources = table["source"]
        self.landmarks = _landmarks(folder, table)
        self.identity_index, self.names = numbered(table["identity"])

    @cached_property
    def fingerprint(self) -> str:
        """Of the members' names, and each shard's size and time."""
        shards = sorted({shard for shard, _ in self._members})
        members = ("\t".join(member) for member in self._members)
        return digest([*(stamp(self._folder / shard) for shard in shards), *members])

    def __len__(self) -> int:
        return len(self._members)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB.

        Raises:
            InputError: the shard is damaged, or has no such member.
            ImageError: the member is no image.
        """
        shard, file = self._members[index]
        path = self._folder / shard
        places = self._places.get(shard) or self._places.setdefault(shard, members(path))
        if file not in places:
            raise InputError(f"{path} has no file {file!r}, which the index names")
        start, size = places[file]
        with path.open("rb") as stream:
            stream.seek(start)
            return decoded(stream.read(size), what=f"{file!r} in {path}")


def read_shards(
    folder: Path, *, split: str | None = None, sources: Collection[str] | None = None
) -> ShardFaces:
    """The crops of `folder/index.csv`, all or some.

    Args:
        folder: where the shards and their index are.
        split: only rows of this split.
        sources: only rows of these sources.

    Raises:
        InputError: no index, one without the columns, a landmark that is no number, or no row to be chosen.
    """
    path = folder / "index.csv"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            titles, *lines = csv.reader(stream)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read the index {path}: {error}") from error
    missing = [column for column in COLUMNS if column not in titles]
    if missing or any(len(line) != len(titles) for line in lines):
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)} in every row; "
            + (
                f"there is no {', '.join(missing)}"
                if missing
                else "some rows are shorter or longer than the first"
            )
        )
    place = {column: titles.index(column) for column in COLUMNS}
    rows = [
        row
        for row, line in enumerate(lines)
        if (split is None or line[place["split"]] == split)
        and (sources is None or line[place["source"]] in sources)
    ]
    if not rows:
        wanted = f"of split {split or 'any'}, source {', '.join(sorted(sources)) if sources else 'any'}"
        raise InputError(f"{path} has {len(lines):,} rows, none {wanted}")
    table = {column: tuple(lines[row][place[column]] for row in rows) for column in COLUMNS}
    return ShardFaces(folder, np.array(rows, dtype=np.int64), table)


def members(shard: Path) -> dict[str, tuple[int, int]]:
    """Member -> first byte and length, of every file in a tar file without compression.

    Raises:
        InputError: no such file, or a damaged or compressed one.
    """
    try:
        with tarfile.open(shard, "r:") as archive:
            return {member.name: (member.offset_data, member.size) for member in archive if member.isreg()}
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"cannot read the shard {shard}: {error}") from error


def _landmarks(folder: Path, table: Mapping[str, tuple[str, ...]]) -> FloatArray:
    try:
        columns = [np.array([text or "nan" for text in table[name]], np.float32) for name in _LANDMARKS]
    except ValueError as error:
        raise InputError(f"{folder / 'index.csv'}: expected numbers for the landmarks: {error}") from error
    return np.stack(columns, axis=1).reshape(-1, 5, 2)
