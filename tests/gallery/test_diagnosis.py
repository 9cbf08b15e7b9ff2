"""The gallery's doctor: each planted fault is found, named, and mended by the command that it names."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery
from vultus.gallery.diagnosis import Finding, Kind, examine, known_different, mark_different
from vultus.gallery.diagnosis_page import diagnosis_page
from vultus.gallery.encryption import encrypt
from vultus.gallery.erasure import erase
from vultus.gallery.reassign import merge, move_template
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]
SHARP: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)


def shots(
    person: int, count: int, *, seed: int = 0, spread: float = 0.05, quality: float = 0.8
) -> list[Template]:
    """Vectors around the direction of a person."""
    own = np.random.default_rng(person).normal(size=64)
    generator = np.random.default_rng((person, seed))
    rows = own + spread * generator.normal(size=(count, 64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [Template(row.astype(np.float32), SHARP, quality=quality) for row in rows]


@pytest.fixture
def filled(gallery: SqliteGallery) -> SqliteGallery:
    """Ten people with three good photos each."""
    for person in range(10):
        gallery.enrol(f"Person {person}", shots(person, 3))
    return gallery


def found(gallery: SqliteGallery, kind: Kind) -> list[Finding]:
    diagnosis = examine(gallery, min_similarity=0.6, different=known_different(gallery))
    return [one for one in diagnosis.findings if one.kind is kind]


def test_a_healthy_gallery_has_nothing_but_who_comes_closest(filled: SqliteGallery) -> None:
    diagnosis = examine(filled, min_similarity=0.6)
    assert (diagnosis.people, diagnosis.templates) == (10, 30)
    assert diagnosis.findings
    assert {one.kind for one in diagnosis.findings} == {Kind.CONFUSED}
    assert all((one.similarity or 1.0) < 0.6 for one in diagnosis.findings)


def test_an_empty_gallery_is_healthy(gallery: SqliteGallery) -> None:
    assert examine(gallery, min_similarity=0.6).findings == ()
    assert "Nothing deserves a look" in diagnosis_page(gallery, examine(gallery, min_similarity=0.6))


def test_a_person_enrolled_twice_is_found_and_merged(filled: SqliteGallery) -> None:
    filled.enrol("Person O'Three", shots(3, 2, seed=9))
    (finding,) = found(filled, Kind.DUPLICATE)
    assert {person.name for person in finding.people} == {"Person 3", "Person O'Three"}
    assert not found(filled, Kind.MISLABELLED), "neither has a photo of somebody else"
    command = shlex.split(finding.commands[0])
    assert command[:3] == ["vultus", "people", "merge"]
    assert set(command[3:5]) == {"Person 3", "Person O'Three"}
    kept = merge(filled, *(filled.find(name).id for name in ("Person 3", "Person O'Three")))
    assert kept.template_count == 5
    assert not found(filled, Kind.DUPLICATE)
    assert filled.check().is_clean
    assert len(filled.people()) == 10


def test_a_photo_under_a_wrong_name_is_found_and_moved(filled: SqliteGallery) -> None:
    filled.enrol("Person 1", shots(2, 1, seed=9))
    wrong = filled.template_ids(filled.find("Person 1").id)[-1]
    (finding,) = found(filled, Kind.MISLABELLED)
    assert [person.name for person in finding.people] == ["Person 1", "Person 2"]
    assert finding.templates[0] == (filled.find("Person 1").id, wrong)
    assert shlex.split(finding.commands[0])[3:6] == ["Person 1", str(wrong), "Person 2"]
    assert not found(filled, Kind.DUPLICATE)
    taker = move_template(filled, wrong, from_id=filled.find("Person 1").id, to_id=filled.find("Person 2").id)
    assert taker.template_count == 4
    assert filled.find("Person 1").template_count == 3
    assert not found(filled, Kind.MISLABELLED)
    assert filled.check().is_clean


def test_a_photo_that_looks_like_nobody_is_found(filled: SqliteGallery) -> None:
    filled.enrol("Person 4", shots(99, 1))
    (finding,) = found(filled, Kind.STRAY)
    assert finding.people[0].name == "Person 4"
    assert "looks like none" in finding.reason


@pytest.mark.parametrize("fault", ["blurred", "low quality"])
def test_poor_photos_are_found(filled: SqliteGallery, fault: str) -> None:
    (good,) = shots(5, 1, seed=9)
    smooth = np.linspace(0, 255, 112).astype(np.uint8)[:, None, None]
    crop = np.broadcast_to(smooth, (112, 112, 3)).copy() if fault == "blurred" else SHARP
    quality = 0.9 if fault == "blurred" else 0.1
    filled.enrol("Person 5", [Template(good.embedding, crop, quality=quality)])
    (finding,) = found(filled, Kind.POOR_CROP)
    assert finding.people[0].name == "Person 5"
    assert "remove-template 'Person 5'" in finding.commands[0]


def test_too_few_samples_are_found(filled: SqliteGallery) -> None:
    filled.enrol("Newcomer", shots(50, 1))
    (finding,) = found(filled, Kind.FEW_SAMPLES)
    assert finding.people[0].name == "Newcomer"
    assert examine(filled, min_similarity=0.6, advised_samples=4).findings[-1].kind is Kind.FEW_SAMPLES


def test_those_who_are_known_to_be_two_are_not_reported_again(filled: SqliteGallery) -> None:
    twin = filled.enrol("Twin", shots(3, 3, seed=9))
    original = filled.find("Person 3")
    assert found(filled, Kind.DUPLICATE)
    mark_different(filled, twin.id, original.id)
    assert known_different(filled) == {frozenset((twin.id, original.id))}
    for kind in (Kind.DUPLICATE, Kind.MISLABELLED):
        assert not found(filled, kind)
    mark_different(filled, original.id, twin.id, are_different=False)
    assert found(filled, Kind.DUPLICATE)
    with pytest.raises(InputError, match="two people"):
        mark_different(filled, twin.id, twin.id)


def test_an_erased_person_leaves_no_mark(filled: SqliteGallery, path: Path) -> None:
    twin = filled.enrol("Twin", shots(60, 1))
    mark_different(filled, twin.id, filled.find("Person 3").id)
    assert not any(twin.id in place for place in erase(filled, twin.id).found)
    assert known_different(filled) == set()
    assert twin.id.encode() not in path.read_bytes()


def test_whoever_took_over_others_photos_is_erased_without_a_trace_too(
    filled: SqliteGallery, path: Path
) -> None:
    one, two, three = (filled.find(f"Person {person}") for person in (1, 2, 3))
    merge(filled, one.id, two.id)
    move_template(filled, filled.template_ids(three.id)[0], from_id=three.id, to_id=one.id)
    assert one.id.encode() in path.with_name("people.db-wal").read_bytes() + path.read_bytes()
    assert not any(one.id in entry.detail for entry in filled.audit() if entry.identity_id == one.id)
    erase(filled, one.id)
    assert one.id.encode() not in path.read_bytes()
    assert not any("Person 1" in entry.detail for entry in filled.audit())
    assert [entry.name for entry in filled.audit() if entry.action == "move_template"] == ["Person 3"]


def test_who_confuses_whom_begins_with_the_closest(filled: SqliteGallery) -> None:
    half = shots(1, 1)[0].embedding + 1.2 * shots(2, 1)[0].embedding
    filled.enrol("Between", [Template((half / np.linalg.norm(half)).astype(np.float32), SHARP)] * 2)
    pairs = [one for one in examine(filled, min_similarity=0.95).findings if one.kind is Kind.CONFUSED]
    assert {person.name for person in pairs[0].people} <= {"Between", "Person 1", "Person 2"}
    assert (pairs[0].similarity or 0.0) > 0.6
    assert [one.similarity for one in pairs] == sorted((one.similarity or 0.0 for one in pairs), reverse=True)


def test_the_page_shows_pictures_and_commands_and_no_markup_of_others(filled: SqliteGallery) -> None:
    filled.enrol("<script>alert(1)</script>", shots(3, 2, seed=9))
    page = diagnosis_page(filled, examine(filled, min_similarity=0.6))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "vultus people merge" in page
    assert len(re.findall(r'<img alt="[^"]*" src="data:image/png;base64,', page)) >= 2


def test_whoever_keeps_no_pictures_gets_a_page_all_the_same(gallery: SqliteGallery) -> None:
    for name in ("Anna", "Anne"):
        gallery.enrol(name, [Template(one.embedding) for one in shots(1, 2)])
    assert "no picture" in diagnosis_page(gallery, examine(gallery, min_similarity=0.6))


def test_impossible_moves_are_refused_and_change_nothing(filled: SqliteGallery) -> None:
    one, two = filled.find("Person 1"), filled.find("Person 2")
    number = filled.template_ids(one.id)[0]
    with pytest.raises(GalleryError, match="no template"):
        move_template(filled, 999, from_id=one.id, to_id=two.id)
    with pytest.raises(GalleryError, match="nobody"):
        move_template(filled, number, from_id=one.id, to_id="0" * 32)
    with pytest.raises(InputError):
        merge(filled, one.id, one.id)
    with pytest.raises(InputError):
        move_template(filled, number, from_id=one.id, to_id=one.id)
    lonely = filled.enrol("Lonely", shots(50, 1))
    with pytest.raises(GalleryError, match="last one"):
        move_template(filled, filled.template_ids(lonely.id)[0], from_id=lonely.id, to_id=one.id)
    assert (filled.find("Person 1"), filled.find("Person 2")) == (one, two)


def test_encrypted_templates_are_moved_and_merged(filled: SqliteGallery) -> None:
    encrypt(filled, bytes(32))
    one, two = filled.find("Person 1"), filled.find("Person 2")
    probe = filled.templates(one.id)[0].embedding[np.newaxis]
    move_template(filled, filled.template_ids(one.id)[0], from_id=one.id, to_id=two.id)
    assert filled.search(probe)[0][0].name == "Person 2"
    merge(filled, one.id, two.id)
    assert filled.search(probe)[0][0].name == "Person 1"
    assert len(filled.templates(one.id)) == 6
