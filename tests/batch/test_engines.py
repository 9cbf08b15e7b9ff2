"""Galleries in servers are filled with the very faces that one in a file is."""

import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vultus.batch import GallerySink, Indexed, Manifest, index_photos
from vultus.batch.sinks import face_id
from vultus.gallery import DurableGallery, SqliteGallery, open_gallery


def index(indexer: ModuleType, album: Path, gallery: DurableGallery, manifest: Path) -> Indexed:
    with Manifest(manifest) as book:
        sink = GallerySink(gallery, contract=indexer.CONTRACT)
        return index_photos(indexer.work_of(album), sink, book, photos_per_batch=8)


def faces_of(gallery: DurableGallery) -> list[Any]:
    return sorted(
        (record.person.id, record.person.name, record.person.metadata, row.vector, row.source, crop)
        for record in gallery.records()
        for row, crop in record.faces
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres", "milvus"])
def test_a_server_is_filled_like_a_file(
    engine: str, indexer: ModuleType, album: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue(engine)
    uri = f"{address}{'&' if '?' in address else '?'}gallery=g{uuid.uuid4().hex}"
    with SqliteGallery(tmp_path / "people.db", contract=indexer.CONTRACT) as gallery:
        index(indexer, album, gallery, tmp_path / "file.manifest")
        expected = faces_of(gallery)
    assert len(expected) == 49
    with open_gallery(uri, contract=indexer.CONTRACT) as gallery:
        assert index(indexer, album, gallery, tmp_path / "one.manifest").done == 40
        assert faces_of(gallery) == expected
        photo = album / "berta" / "04.png"  # which shows three; one is lost with the manifest
        digest = next(row[4] for row in expected if row[4].startswith(str(photo))).rpartition("sha256:")[2]
        gallery.remove(face_id(digest, 2))
        assert index(indexer, album, gallery, tmp_path / "two.manifest").done == 40
        assert faces_of(gallery) == expected
