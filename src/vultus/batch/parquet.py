"""Faces as Parquet: a folder of part files, on a disk or in object storage, a row for each face.

A batch is one file, which is there whole or not at all: so whether it arrived is asked by the file's name.
Spark, DuckDB, pandas, Polars and Ray read the folder as one table:

    photo, sha256, person, face (from 1), box (x1 y1 x2 y2, pixels), score, landmarks (x y five times),
    quality, embedding (D), crop (PNG, or null), contract
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from os import PathLike, fspath, fsync
from pathlib import Path
from typing import Any, Final

from vultus.batch.manifest import Content
from vultus.batch.storage import open_storage
from vultus.batch.work import PhotoFaces
from vultus.errors import InputError, MissingExtraError
from vultus.gallery.database import sync_folder
from vultus.image import replace_file


class ParquetSink:
    """A folder of Parquet files as a `Sink`.

    Args:
        folder: a path, or an address that fsspec opens; made if missing.
        contract: of the embeddings.

    Raises:
        MissingExtraError: pyarrow or fsspec is not installed.
    """

    photos_per_batch: Final = 2048
    is_searchable: Final = False

    def __init__(self, folder: str | PathLike[str], *, contract: str) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError("writing Parquet needs: pip install 'vultus[batch]'") from error
        self._pa: Any = pa
        self._storage = open_storage(fspath(folder))
        self._contract = contract

    @property
    def name(self) -> str:
        """The address; of a folder on a disk, its name alone, so that it may be moved with its manifest."""
        storage = self._storage
        return storage.root.rpartition("/")[2] if storage.is_local else storage.address

    def is_empty(self) -> bool:
        """Whether there is no part file."""
        return not self._storage.fs.glob(f"{self._storage.root}/part-*.parquet")

    def arrived(self, batch: int, contents: Sequence[Content]) -> set[str]:
        """The keys of all of them if the batch's file is there, else none."""
        return {one.key for one in contents} if self._storage.fs.exists(self._part(batch)) else set()

    def write(self, batch: int, photos: Sequence[PhotoFaces]) -> None:
        """Write one part file; none where there is no face.

        Raises:
            InputError: the folder cannot be written to.
        """
        rows = [row for photo in photos for row in self._rows(photo)]
        if not rows:
            return
        data = BytesIO()
        table = self._pa.Table.from_pylist(rows, schema=self._schema(len(rows[0]["embedding"])))
        self._pa.parquet.write_table(table, data, compression="zstd")
        try:
            self._save(self._part(batch), data.getvalue())
        except OSError as error:
            raise InputError(f"{self._storage.address} cannot be written to: {error}") from error

    def _save(self, place: str, data: bytes) -> None:
        if not self._storage.is_local:
            self._storage.fs.pipe_file(place, data)  # an object is there whole or not at all
            return
        folder = Path(self._storage.root)
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(place) as stream:
            stream.write(data)
            stream.flush()
            fsync(stream.fileno())
        sync_folder(folder)

    def _part(self, batch: int) -> str:
        return f"{self._storage.root}/part-{batch:08}.parquet"

    def _rows(self, photo: PhotoFaces) -> Iterator[dict[str, Any]]:
        for number, found in enumerate(photo.faces, start=1):
            row, crop = found.face
            yield {
                "photo": photo.photo.name,
                "sha256": photo.digest,
                "person": photo.person or None,
                "face": number,
                "box": found.detection.boxes[0],
                "score": float(found.detection.scores[0]),
                "landmarks": found.detection.landmarks[0].reshape(-1),
                "quality": row.quality,
                "embedding": row.embedding,
                "crop": crop,
                "contract": self._contract,
            }

    def _schema(self, dimension: int) -> Any:
        pa = self._pa
        kinds = {
            "photo": pa.string(),
            "sha256": pa.string(),
            "person": pa.string(),
            "face": pa.int32(),
            "box": pa.list_(pa.float32(), 4),
            "score": pa.float32(),
            "landmarks": pa.list_(pa.float32(), 10),
            "quality": pa.float32(),
            "embedding": pa.list_(pa.float32(), dimension),
            "crop": pa.binary(),
            "contract": pa.string(),
        }
        return pa.schema(
            [pa.field(name, kind, nullable=name in {"person", "crop"}) for name, kind in kinds.items()]
        )
