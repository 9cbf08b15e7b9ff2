"""Aligned crops in few files: tar shards with an index, as `shards` reads them, or MXNet records.

Both are the same bytes for the same crops: a tar file has a place for the time and the owner of every member,
and nothing is written there.
"""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vultus.errors import InputError
from vultus.image import replace_file
from vultus.training.data.alignment_manifest import Row, csv_text, write
from vultus.training.data.folder import FileFaces
from vultus.training.data.identities import labelled
from vultus.training.data.record_faces import write_records
from vultus.training.data.shards import COLUMNS

PER_SHARD: Final = 10_000


def pack_shards(
    crops: Path, rows: Sequence[Row], folder: Path, *, source: str, per_shard: int = PER_SHARD
) -> None:
    """Write `faces-000.tar` and so on, and `index.csv`, which `read_shards` reads.

    Args:
        crops: the folder that the rows' crops lie in.
        rows: of the manifest; those without a crop are passed over.
        folder: of the shards; made if need be.
        source: what the index calls the place that the crops come from.
        per_shard: crops in each shard.

    Raises:
        InputError: no row has a crop, or a place that cannot be written.
    """
    kept = _with_crops(rows)
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[Sequence[object]] = [(*COLUMNS, "score", "face_px")]
    for number, start in enumerate(range(0, len(kept), per_shard)):
        name = f"faces-{number:03}.tar"
        part = kept[start : start + per_shard]
        with replace_file(folder / name) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
            for row in part:
                data = (crops / row.crop).read_bytes()
                member = tarfile.TarInfo(row.crop)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        lines += [
            (name, row.crop, source, row.person, "train", *row.landmarks, row.score, row.face_px)
            for row in part
        ]
    write(folder / "index.csv", csv_text(lines))


def pack_records(crops: Path, rows: Sequence[Row], folder: Path, *, jpeg_quality: int = 95) -> None:
    """Write `train.rec`, `train.idx`, and `people.csv`, which says who the people are whom records number.

    Args:
        crops: the folder that the rows' crops lie in.
        rows: of the manifest; those without a crop, and of nobody known, are passed over.
        folder: of the records; made if need be.
        jpeg_quality: 0 to 100.

    Raises:
        InputError: no row has a crop of a known person, or a place that cannot be written.
    """
    kept = _with_crops(rows)
    faces = labelled(FileFaces([crops / row.crop for row in kept], [row.person for row in kept]))
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "train.rec", faces, jpeg_quality=jpeg_quality)
    write(folder / "people.csv", csv_text([("number", "person"), *enumerate(faces.names)]))


def _with_crops(rows: Sequence[Row]) -> list[Row]:
    kept = [row for row in rows if row.crop]
    if not kept:
        raise InputError(f"none of {len(rows):,} photos gave a crop: there is nothing to pack")
    return kept
