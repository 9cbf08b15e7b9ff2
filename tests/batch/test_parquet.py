"""Faces as rows of a table, one part file a batch."""

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.batch import Indexed, Manifest, ParquetSink, index_photos
from vultus.errors import InputError

pytest.importorskip("pyarrow", reason="Parquet is written by pyarrow: pip install 'vultus[batch]'")
Table = Callable[[Path], list[dict[str, Any]]]


def index(indexer: ModuleType, album: Path, target: Path, **options: Any) -> Indexed:
    with Manifest(target.with_name(f"{target.name}.manifest")) as book:
        sink = ParquetSink(target, contract=indexer.CONTRACT)
        return index_photos(indexer.work_of(album, **options), sink, book, photos_per_batch=8)


def test_each_face_is_a_row(indexer: ModuleType, album: Path, tmp_path: Path, table: Table) -> None:
    done = index(indexer, album, tmp_path / "faces.parquet")
    rows = table(tmp_path / "faces.parquet")
    assert len(rows) == done.faces == 49
    first = next(row for row in rows if (row["photo"], row["face"]) == ("berta/04.png", 2))
    assert (first["box"], first["person"], first["contract"]) == ([1, 1, 65, 65], None, "fake")
    assert np.linalg.norm(first["embedding"]) == pytest.approx(1, abs=1e-6)
    assert len(first["landmarks"]) == 10
    assert PillowImage.open(io.BytesIO(first["crop"])).size == (16, 16)


def test_without_crops_and_with_people(
    indexer: ModuleType, album: Path, tmp_path: Path, table: Table
) -> None:
    index(indexer, album, tmp_path / "faces.parquet", people="folder", keep_crops=False)
    rows = table(tmp_path / "faces.parquet")
    assert {row["person"] for row in rows} == {"anna", "berta", "carl", "dora"}
    assert {row["crop"] for row in rows} == {None}


def test_what_is_done_is_not_done_again(indexer: ModuleType, album: Path, tmp_path: Path) -> None:
    index(indexer, album, tmp_path / "faces.parquet")
    parts = sorted((tmp_path / "faces.parquet").iterdir())
    assert len(parts) == 5
    assert index(indexer, album, tmp_path / "faces.parquet").done == 0
    assert sorted((tmp_path / "faces.parquet").iterdir()) == parts


def test_files_of_another_manifest_are_left_alone(indexer: ModuleType, album: Path, tmp_path: Path) -> None:
    index(indexer, album, tmp_path / "faces.parquet")
    (tmp_path / "faces.parquet.manifest").unlink()
    with pytest.raises(InputError, match="holds the work of another manifest"):
        index(indexer, album, tmp_path / "faces.parquet")


def test_object_storage_takes_the_same_files(indexer: ModuleType, album: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip(
        "fsspec", reason="photos are read through fsspec: pip install 'vultus[batch]'"
    )
    address = f"memory://{tmp_path.name}/faces.parquet"
    with Manifest(tmp_path / "book") as book:
        index_photos(indexer.work_of(album), ParquetSink(address, contract="fake"), book, photos_per_batch=8)
    assert len(fsspec.filesystem("memory").glob(f"{address}/part-*.parquet")) == 5
