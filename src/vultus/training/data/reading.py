"""Labelled faces in whichever form they lie on disk."""

from collections.abc import Collection
from pathlib import Path

from vultus.training.data.crop_cache import cached
from vultus.training.data.folder import read_folder
from vultus.training.data.identities import IdentitySet
from vultus.training.data.record_faces import read_records
from vultus.training.data.shards import read_shards


def read_faces(
    path: Path, *, split: str, cache: Path | None = None, sources: Collection[str] = ()
) -> IdentitySet:
    """Face crops in whichever form they are.

    Args:
        path: a folder for each person, tar shards with index.csv, or train.rec.
        split: of tar shards.
        cache: where decoded crops are kept; None decodes them anew each time.
        sources: of tar shards, only rows of these sources; none takes all.

    Raises:
        InputError: none of these, or nothing in it.
    """
    if path.suffix == ".rec":
        faces: IdentitySet = read_records(path)
    elif (path / "index.csv").exists():
        faces = read_shards(path, split=split, sources=sources or None)
    else:
        faces = read_folder(path)
    return faces if cache is None else cached(faces, cache)
