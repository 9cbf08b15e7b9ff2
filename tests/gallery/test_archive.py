"""A gallery as one file: what goes out comes back, and nothing else comes in."""

import json
import stat
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


def contents(gallery: SqliteGallery) -> list[tuple[object, list[tuple[bytes, bytes | None, float, str]]]]:
    return [
        (
            person,
            [
                (
                    one.embedding.tobytes(),
                    None if one.crop is None else one.crop.tobytes(),
                    one.quality,
                    one.source,
                )
                for one in gallery.templates(person.id)
            ],
        )
        for person in gallery.people()
    ]


def test_what_was_exported_comes_back_the_same(
    gallery: SqliteGallery, archive: Path, tmp_path: Path, faces: MakeFaces
) -> None:
    with SqliteGallery(tmp_path / "new.db", contract="contract-1", actor="importer") as new:
        result = new.import_from(archive)
        assert (result.people, result.templates, result.skipped, result.replaced) == (2, 3, 0, 0)
        assert contents(new) == contents(gallery)
        probes = np.stack([face.embedding for face in faces(2, seed=1)])
        assert new.search(probes) == gallery.search(probes)
        assert new.check().is_clean
        assert [(entry.action, entry.actor, entry.detail) for entry in new.audit()] == [
            ("import", "importer", "from export.zip")
        ] * 2
        new.export(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_an_archive_can_be_read_without_vultus(archive: Path, faces: MakeFaces) -> None:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        manifest = json.loads(opened.read("manifest.json"))
        assert (manifest["contract"], manifest["dimension"]) == ("contract-1", 16)
        people = [json.loads(line) for line in opened.read("people.jsonl").splitlines()]
        assert [person["name"] for person in people] == ["Anna", "Berta"]
        vectors = np.load(BytesIO(opened.read("vectors.npy")))
        np.testing.assert_array_equal(vectors[:2], np.stack([face.embedding for face in faces(2, seed=1)]))
        assert opened.read("crops/00000001.png").startswith(b"\x89PNG")


def test_an_archive_is_for_its_owner_alone(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_an_empty_gallery_goes_out_and_in(
    gallery: SqliteGallery, other: SqliteGallery, tmp_path: Path
) -> None:
    gallery.export(tmp_path / "empty.zip")
    assert other.import_from(tmp_path / "empty.zip").people == 0
    assert [person.name for person in other.people()] == ["Zoe"]


def test_a_gallery_without_a_contract_takes_that_of_the_archive(archive: Path, tmp_path: Path) -> None:
    with SqliteGallery(tmp_path / "new.db") as new:
        new.import_from(archive)
        assert new.contract == "contract-1"


def test_crops_stay_outside_where_they_are_not_wanted(archive: Path, tmp_path: Path) -> None:
    with SqliteGallery(tmp_path / "new.db", keep_crops=False) as new:
        new.import_from(archive)
        assert new.stats().crops == 0
        assert new.check().is_clean


@pytest.mark.parametrize(("contract", "dimension"), [("contract-2", 16), ("contract-1", 8)])
def test_an_archive_of_other_vectors_is_refused(
    archive: Path, tmp_path: Path, faces: MakeFaces, contract: str, dimension: int
) -> None:
    with SqliteGallery(tmp_path / "new.db", contract=contract) as new:
        zoe = new.enrol("Zoe", faces(1, dimension=dimension))
        with pytest.raises(GalleryError, match=r"export\.zip"):
            new.import_from(archive)
        assert new.people() == [zoe]
    empty = SqliteGallery(tmp_path / "empty.db", contract="contract-2")
    with empty, pytest.raises(GalleryError, match=r"contract-1.*contract-2"):
        empty.import_from(archive)


def test_somebody_who_is_there_already_stops_the_import(
    gallery: SqliteGallery, archive: Path, other: SqliteGallery, faces: MakeFaces
) -> None:
    before = contents(gallery)
    with pytest.raises(GalleryError, match=r"'Anna'.*is in the gallery already"):
        gallery.import_from(archive)
    assert contents(gallery) == before
    with other:
        other.enrol("BERTA", faces(1, seed=9))
        before = contents(other)
        with pytest.raises(GalleryError, match=r"'Berta'.*'BERTA'.*is in the gallery already"):
            other.import_from(archive)
        assert contents(other) == before, "Anna, who came first, is not left behind"
        assert len(other.audit()) == 2


def test_whoever_is_there_already_can_be_skipped(
    gallery: SqliteGallery, archive: Path, other: SqliteGallery, faces: MakeFaces
) -> None:
    with other:
        berta = other.enrol("Berta", faces(1, seed=9))
        result = other.import_from(archive, on_conflict="skip")
        assert (result.people, result.templates, result.skipped, result.replaced) == (1, 2, 1, 0)
        assert other.find("Berta") == berta
        assert other.find("Anna") == gallery.find("Anna")


def test_whoever_is_there_already_can_be_replaced(
    gallery: SqliteGallery, archive: Path, other: SqliteGallery, faces: MakeFaces
) -> None:
    with other:
        old = other.enrol("Berta", faces(2, seed=9))
        other.import_from(archive, on_conflict="skip")
        anna = other.rename(other.find("Anna").id, "Annette")
        probe = faces(2, seed=9)[0].embedding[np.newaxis]
        assert other.search(probe)[0][0].id == old.id
        result = other.import_from(archive, on_conflict="replace")
        assert (result.people, result.templates, result.skipped, result.replaced) == (2, 3, 0, 2)
        assert contents(other)[:2] == contents(gallery)
        assert other.find("Anna").id == anna.id
        assert other.search(probe)[0][0].similarity < 0.999
        assert other.check().is_clean


def test_nothing_of_a_replaced_face_stays_in_the_files(
    archive: Path, other: SqliteGallery, faces: MakeFaces
) -> None:
    (face,) = faces(1, seed=9)
    with other:
        other.enrol("Berta", [face])
        other.import_from(archive, on_conflict="replace")
        files = list(other.path.parent.glob("other.db*"))
        assert len(files) > 1
        assert not any(face.embedding.tobytes() in file.read_bytes() for file in files)


def test_one_person_does_not_replace_two(archive: Path, other: SqliteGallery, faces: MakeFaces) -> None:
    with other:
        other.import_from(archive)
        other.rename(other.find("Anna").id, "Annette")
        other.enrol("Anna", faces(1, seed=9))
        before = contents(other)
        with pytest.raises(GalleryError, match="would replace two people"):
            other.import_from(archive, on_conflict="replace")
        assert contents(other) == before


def test_an_unknown_policy_is_refused(gallery: SqliteGallery, archive: Path) -> None:
    with pytest.raises(InputError, match="one of error, skip, replace, got 'merge'"):
        gallery.import_from(archive, on_conflict="merge")  # type: ignore[arg-type]  # what a caller may type


def test_a_damaged_gallery_is_not_exported(gallery: SqliteGallery, archive: Path, faces: MakeFaces) -> None:
    before = archive.read_bytes()
    gallery.close()
    content = gallery.path.read_bytes()
    vector = faces(1, seed=2)[0].embedding.tobytes()
    gallery.path.write_bytes(content.replace(vector, vector[:-1] + b"\x00"))
    with SqliteGallery(gallery.path) as damaged, pytest.raises(GalleryError, match="'Berta'"):
        damaged.export(archive)
    assert archive.read_bytes() == before, "the last good export is still there"
    assert sorted(file.name for file in archive.parent.iterdir()) == ["export.zip", "people.db"]


def test_places_that_cannot_be_written_are_named(
    gallery: SqliteGallery, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(GalleryError, match="onto itself"):
        gallery.export(gallery.path)
    with pytest.raises(InputError, match="missing"):
        gallery.export(tmp_path / "missing" / "export.zip")
    with pytest.raises(InputError):
        gallery.export(tmp_path)
    assert gallery.check().is_clean
