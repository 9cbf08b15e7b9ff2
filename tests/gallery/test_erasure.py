"""Erasing a person: what a byte search finds afterwards, and that the search itself can find."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery
from vultus.gallery.encryption import encrypt
from vultus.gallery.erasure import erase, find_fragments, fragments
from vultus.gallery.retention import erase_due, people_due, retention_days, set_retention
from vultus.image import encode_png
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


def traces(path: Path, person: str, templates: list[Template]) -> list[str]:
    """Where something of a person stands in the files, by the plainest of searches."""
    found = []
    for file in path.parent.iterdir():
        content = file.read_bytes()
        found += [f"id in {file}"] * (person.encode() in content)
        for template in templates:
            vector = template.embedding.tobytes()
            assert template.crop is not None
            crop = encode_png(template.crop)
            found += [f"vector in {file}"] * any(vector[i : i + 16] in content for i in range(0, 48, 16))
            found += [f"crop in {file}"] * any(crop[i : i + 16] in content for i in range(64, 160, 16))
    return found


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_nothing_is_left_of_an_erased_person(
    gallery: SqliteGallery, path: Path, faces: MakeFaces, is_encrypted: bool
) -> None:
    for seed in range(5, 25):
        gallery.enrol(f"Person {seed}", faces(2, seed=seed))
    given = faces(3, seed=1)
    anna = gallery.enrol("Anna", given[:2], metadata={"badge": 17})
    if is_encrypted:
        encrypt(gallery, bytes(32))
    gallery.rename(anna.id, "Annette")
    gallery.enrol("Annette", given[2:])
    assert traces(path, anna.id, given)
    proof = erase(gallery, anna.id)
    assert proof.is_proven
    assert (proof.templates, proof.is_log_empty) == (3, True)
    assert {Path(name).name for name, _ in proof.searched} >= {path.name}
    assert traces(path, anna.id, given) == []
    assert b"Annette" not in path.read_bytes()
    assert len(gallery.people()) == 20
    assert gallery.check().is_clean


def test_the_audit_log_keeps_what_was_done_but_not_to_whom(gallery: SqliteGallery, faces: MakeFaces) -> None:
    anna, berta = gallery.enrol("Anna", faces(1, seed=1)), gallery.enrol("Berta", faces(1, seed=2))
    gallery.rename(anna.id, "Annette")
    erase(gallery, anna.id)
    told = [(entry.action, entry.identity_id, entry.name, entry.detail) for entry in gallery.audit()]
    assert told == [
        ("enrol", "", "", "erased"),
        ("enrol", berta.id, "Berta", "1 new, 1 in all"),
        ("rename", "", "", "erased"),
        ("erase", "", "", "1 person, 1 templates"),
    ]


def test_others_forget_them_too(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    given = faces(1, seed=1)
    anna = gallery.enrol("Anna", given)
    gallery.enrol("Berta", faces(1, seed=2))
    with SqliteGallery(path) as other:
        assert len(other.search(given[0].embedding[np.newaxis])[0]) == 2
        erase(gallery, anna.id)
        assert [one.name for one in other.search(given[0].embedding[np.newaxis])[0]] == ["Berta"]
        gallery.enrol("Cora", faces(1, seed=3))
        assert len(other.search(given[0].embedding[np.newaxis])[0]) == 2


def test_copies_elsewhere_are_pointed_out(
    gallery: SqliteGallery, path: Path, faces: MakeFaces, tmp_path: Path
) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    backup = tmp_path / "backup.zip"
    gallery.export(backup)
    proof = erase(gallery, anna.id, also_search=[backup])
    assert not proof.is_proven
    assert all(str(backup) in place for place in proof.found)
    gallery.export(backup)
    assert erase(gallery, gallery.enrol("Berta", faces(1)).id, also_search=[backup]).is_proven


def test_the_same_picture_under_another_name_is_found(gallery: SqliteGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    gallery.enrol("Anne", faces(1, seed=1))
    assert not erase(gallery, anna.id).is_proven


def test_a_reader_that_stays_is_told_of(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    with SqliteGallery(path) as other, other.database.reading() as connection:
        connection.execute("SELECT * FROM people").fetchall()
        proof = erase(gallery, anna.id)
        assert not proof.is_log_empty
    assert gallery.database.compact()


def test_nobody_is_erased_by_mistake(gallery: SqliteGallery, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    with pytest.raises(GalleryError, match="nobody"):
        erase(gallery, "0" * 32)
    assert len(gallery.people()) == 1


def test_the_search_finds_any_piece_of_48_bytes_across_chunks(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    secret = generator.bytes(512)
    needles = set(fragments(secret))
    assert len(needles) == 16
    for offset in (0, 1, 7, 1000, (1 << 22) - 20, (1 << 22) - 1, (1 << 22) + 5):
        for start in (0, 13, 464):
            content = bytearray(generator.bytes((1 << 22) + 4096))
            content[offset : offset + 48] = secret[start : start + 48]
            (tmp_path / "file").write_bytes(content)
            assert find_fragments(tmp_path / "file", needles), (offset, start)
    (tmp_path / "file").write_bytes(generator.bytes(1 << 20))
    assert find_fragments(tmp_path / "file", needles) == []


def test_people_stay_as_long_as_the_gallery_says(gallery: SqliteGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    gallery.enrol("Berta", faces(1, seed=2), metadata={"keep_until": "2200-01-01"})
    gallery.enrol("Cora", faces(1, seed=3), metadata={"keep_until": "2001-01-01T10:00:00+02:00"})
    assert [person.name for person in people_due(gallery)] == ["Cora"]
    set_retention(gallery, 30)
    assert retention_days(gallery) == 30
    later = datetime.now(UTC) + timedelta(days=31)
    assert [person.name for person in people_due(gallery, now=later)] == ["Anna", "Cora"]
    assert len(people_due(gallery, now=datetime.now(UTC) + timedelta(days=29))) == 1
    proofs = erase_due(gallery, now=later)
    assert [proof.is_proven for proof in proofs] == [True, True]
    assert proofs[0].identity_id == anna.id
    assert [person.name for person in gallery.people()] == ["Berta"]
    set_retention(gallery, None)
    assert retention_days(gallery) is None


def test_a_new_photo_begins_the_period_anew(gallery: SqliteGallery, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1, seed=1))
    first = gallery.audit()[-1].at
    set_retention(gallery, 1)
    due = datetime.fromisoformat(first) + timedelta(days=1)
    assert len(people_due(gallery, now=due + timedelta(seconds=1))) == 1
    gallery.enrol("Anna", faces(1, seed=2))
    assert gallery.audit()[-1].at > first, "it takes more than a millisecond"
    assert people_due(gallery, now=due) == []


@pytest.mark.parametrize("when", ["soon", 17, None, ["2030-01-01"]])
def test_a_date_that_is_none_is_pointed_out(gallery: SqliteGallery, faces: MakeFaces, when: object) -> None:
    gallery.enrol("Anna", faces(1), metadata={"keep_until": when})
    if when is None:
        assert people_due(gallery) == []
        return
    with pytest.raises(InputError, match="keep_until"):
        people_due(gallery)
    with pytest.raises(InputError, match="one day"):
        set_retention(gallery, 0)
