"""What a gallery does with people, whichever engine keeps it: the promises of the Gallery protocol.

Where engines differ, a test says so by `engine.name`.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vultus.errors import GalleryError, InputError, ShapeError
from vultus.gallery import DurableGallery
from vultus.interfaces import Gallery
from vultus.types import Identity, Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def gallery(engine: Any) -> Iterator[DurableGallery]:
    """An empty gallery of each engine."""
    with engine.open(contract="contract-1", actor="tester") as made:
        yield made


def probe(template: Template) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return template.embedding[np.newaxis]


def test_it_is_a_gallery(gallery: DurableGallery) -> None:
    assert isinstance(gallery, Gallery)
    assert isinstance(gallery, DurableGallery)


def test_whoever_was_enrolled_is_found_again(gallery: DurableGallery, faces: MakeFaces) -> None:
    anna, berta = faces(2, seed=1), faces(1, seed=2)
    enrolled = gallery.enrol("Anna", anna, metadata={"team": "red", "badge": [1, None, 2.5]})
    gallery.enrol("Berta", berta)
    assert enrolled.name == "Anna"
    assert enrolled.template_count == 2
    assert enrolled.metadata == {"team": "red", "badge": [1, None, 2.5]}
    assert gallery.find("Anna") == gallery.find(enrolled.id) == enrolled
    best, other = gallery.search(probe(anna[1]))[0]
    assert (best.id, best.name) == (enrolled.id, "Anna")
    assert best.similarity == pytest.approx(1.0, abs=1e-6)
    assert other.name == "Berta"


def test_everything_is_there_after_opening_again(
    gallery: DurableGallery, faces: MakeFaces, engine: Any
) -> None:
    given = faces(2, seed=1)
    anna = gallery.enrol("Anna", given, metadata={"a": 1})
    gallery.close()
    with engine.open() as again:
        assert again.contract == "contract-1"
        assert again.people() == [anna]
        assert again.search(probe(given[0]))[0][0].id == anna.id
        for stored, template in zip(again.templates(anna.id), given, strict=True):
            assert stored.embedding.tobytes() == template.embedding.tobytes()
            assert stored.crop is not None
            assert template.crop is not None
            np.testing.assert_array_equal(stored.crop, template.crop)
            assert (stored.quality, stored.source) == (0.75, template.source)


def test_enrolling_a_known_name_adds_to_the_person(gallery: DurableGallery, faces: MakeFaces) -> None:
    first = gallery.enrol("Anna", faces(1, seed=1), metadata={"a": 1})
    second = gallery.enrol("Anna", faces(2, seed=2))
    assert second.id == first.id
    assert second.template_count == 3
    assert second.metadata == {"a": 1}, "metadata that is not given stays"
    assert gallery.enrol("Anna", faces(1, seed=3), metadata={"b": 2}).metadata == {"b": 2}
    assert len(gallery.people()) == 1
    assert [template.source for template in gallery.templates(first.id)] == [
        "photo 0.jpg", "photo 0.jpg", "photo 1.jpg", "photo 0.jpg",
    ]  # fmt: skip


def test_people_are_listed_by_name(gallery: DurableGallery, faces: MakeFaces) -> None:
    for seed, name in enumerate(["cora", "Berta", "Ärmel", "Anna"]):
        gallery.enrol(name, faces(1, seed=seed))
    assert [person.name for person in gallery.people()] == ["Anna", "Berta", "cora", "Ärmel"]


def test_a_removed_person_is_gone(gallery: DurableGallery, faces: MakeFaces) -> None:
    templates = faces(2, seed=1)
    anna = gallery.enrol("Anna", templates)
    berta = gallery.enrol("Berta", faces(1, seed=2))
    gallery.search(probe(templates[0]))  # the index in memory holds Anna
    gallery.remove(anna.id)
    assert gallery.people() == [berta]
    assert [one.name for one in gallery.search(probe(templates[0]))[0]] == ["Berta"]
    for unknown in ("Anna", anna.id):
        with pytest.raises(GalleryError, match="nobody"):
            gallery.find(unknown)
    assert gallery.stats().templates == 1


def test_a_new_name_keeps_id_and_faces(gallery: DurableGallery, faces: MakeFaces) -> None:
    templates = faces(1, seed=1)
    anna = gallery.enrol("Anna", templates)
    gallery.search(probe(templates[0]))
    renamed = gallery.rename(anna.id, "Annette")
    assert (renamed.id, renamed.name) == (anna.id, "Annette")
    assert gallery.search(probe(templates[0]))[0][0].name == "Annette"
    assert gallery.find("Annette") == renamed
    assert gallery.rename(anna.id, "ANNETTE").name == "ANNETTE", "one's own name in another spelling is free"
    with pytest.raises(GalleryError, match="nobody called 'Anna'"):
        gallery.find("Anna")


def test_a_name_that_is_taken_is_refused(gallery: DurableGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    gallery.enrol("Berta", faces(1, seed=2))
    for taken in ("Berta", "BERTA", "  berta "):
        with pytest.raises(GalleryError, match="'Berta' already"):
            gallery.rename(anna.id, taken)
    assert gallery.find("Anna") == anna


@pytest.mark.parametrize("lookalike", ["anna lee", "ANNA LEE", "Anna  Lee", "Ａnna Lee", "An\u200dna Lee"])
def test_names_that_look_alike_are_not_two_people(
    gallery: DurableGallery, faces: MakeFaces, lookalike: str
) -> None:
    gallery.enrol("Anna Lee", faces(1, seed=1))
    with pytest.raises(GalleryError, match="'Anna Lee', which looks alike"):
        gallery.enrol(lookalike, faces(1, seed=2))
    with pytest.raises(GalleryError, match="'Anna Lee', which looks alike"):
        gallery.find(lookalike)
    assert gallery.stats().templates == 1


def test_composed_and_decomposed_letters_are_one_name(gallery: DurableGallery, faces: MakeFaces) -> None:
    first = gallery.enrol("Rene\u0301e", faces(1, seed=1))
    assert first.name == "Ren\u00e9e"
    assert gallery.enrol(" Ren\u00e9e\n", faces(1, seed=2)).id == first.id
    assert gallery.find("Rene\u0301e").template_count == 2


@pytest.mark.parametrize(
    "name", ["Robert'); DROP TABLE people;--", "<script>alert(1)</script>", "%s %d {0}", "../../etc/passwd",
             "李小龍", "محمد", "Þórr Ægisson", "👩‍🚀" , "O'Neill \"Shaq\"", "نیکی‌نامه"],
)  # fmt: skip
def test_a_name_is_only_text(gallery: DurableGallery, faces: MakeFaces, name: str) -> None:
    person = gallery.enrol(name, faces(1))
    assert person.name == name
    assert gallery.people() == [person]
    assert gallery.find(name) == person
    assert gallery.search(probe(faces(1)[0]))[0][0].name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "visible"), ("   \t\n", "visible"), ("\u200d", "visible"),
        ("x" * 201, "200 characters, got 201"), ("a\x00b", "U+0000"),
        ("a\nb", "U+000A"), ("a\x1b[31mb", "U+001B"), ("a\u202eb", "U+202E"),
        ("a\ufeffb", "U+FEFF"), ("a\ud800", "U+D800"), ("a\u2028b", "U+2028"), ("f" * 32, "look like an id"),
        (None, "text, got NoneType"), (b"Anna", "text, got bytes"), (7, "text, got int"),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(
    gallery: DurableGallery, faces: MakeFaces, name: str, message: str
) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    with pytest.raises(InputError, match=re.escape(message)):
        gallery.enrol(name, faces(1))
    with pytest.raises(InputError, match=re.escape(message)):
        gallery.rename(anna.id, name)
    assert gallery.people() == [anna]


@pytest.mark.parametrize(
    "metadata",
    [
        ["a", "list"], "text", {1: "a number as key"}, {"deep": [{None: 1}]}, {"a": float("nan")},
        {"a": float("inf")}, {"a": {1, 2}}, {"a": b"bytes"}, {"a": object()}, {"a": np.float32(1)},
        {"a": "x" * 70_000}, {"a": 10**5000},
    ],
    ids=lambda value: repr(value)[:30] if not isinstance(value, dict) else repr(list(value))[:30],
)  # fmt: skip
def test_metadata_that_json_cannot_hold_is_refused(
    gallery: DurableGallery, faces: MakeFaces, metadata: dict[str, object]
) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    with pytest.raises(InputError, match="metadata"):
        gallery.enrol("Berta", faces(1), metadata=metadata)
    with pytest.raises(InputError, match="metadata"):
        gallery.set_metadata(anna.id, metadata)
    assert gallery.people() == [anna]


def test_metadata_that_contains_itself_is_refused(gallery: DurableGallery, faces: MakeFaces) -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(InputError, match="metadata"):
        gallery.enrol("Anna", faces(1), metadata=loop)


def test_metadata_is_replaced(gallery: DurableGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1), metadata={"a": 1})
    assert gallery.set_metadata(anna.id, {"b": "<b>\ud83d\u00e9"}).metadata == {"b": "<b>\ud83d\u00e9"}
    assert gallery.find("Anna").metadata == {"b": "<b>\ud83d\u00e9"}


def test_a_template_can_be_removed_but_not_the_last_one(gallery: DurableGallery, faces: MakeFaces) -> None:
    templates = faces(2, seed=1)
    anna, berta = gallery.enrol("Anna", templates), gallery.enrol("Berta", faces(1, seed=2))
    first, second = gallery.template_ids(anna.id)
    assert gallery.search(probe(templates[0]))[0][0].similarity > 0.999
    assert gallery.remove_template(anna.id, first).template_count == 1
    assert gallery.template_ids(anna.id) == [second]
    assert gallery.search(probe(templates[0]))[0][0].similarity < 0.999
    with pytest.raises(GalleryError, match="the last one of 'Anna'"):
        gallery.remove_template(anna.id, second)
    for wrong in (first, gallery.template_ids(berta.id)[0], 999, 2**70, "1"):
        with pytest.raises(GalleryError, match="'Anna' has no template"):
            gallery.remove_template(anna.id, wrong)  # type: ignore[arg-type]  # one of them is text


def test_crops_are_left_out_where_they_are_not_wanted(engine: Any, faces: MakeFaces) -> None:
    with engine.open(contract="c", keep_crops=False) as gallery:
        anna = gallery.enrol("Anna", faces(2))
        assert [template.crop for template in gallery.templates(anna.id)] == [None, None]
        assert gallery.stats().crops == 0
        assert gallery.check().is_clean


def test_the_audit_log_tells_who_did_what_and_when(gallery: DurableGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(2))
    gallery.rename(anna.id, "Annette")
    gallery.set_metadata(anna.id, {"a": 1})
    gallery.remove_template(anna.id, gallery.template_ids(anna.id)[0])
    gallery.remove(anna.id)
    log = gallery.audit()
    assert [(entry.seq, entry.action, entry.name) for entry in log] == [
        (1, "enrol", "Anna"), (2, "rename", "Annette"), (3, "set_metadata", "Annette"),
        (4, "remove_template", "Annette"), (5, "remove", "Annette"),
    ]  # fmt: skip
    assert {(entry.actor, entry.identity_id) for entry in log} == {("tester", anna.id)}
    assert log[1].detail == "was 'Anna'"
    assert all(earlier.at <= later.at for earlier, later in pairwise(log))


def test_a_refused_change_leaves_no_trace(gallery: DurableGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1))
    refused: list[Callable[[], Identity | None]] = [
        lambda: gallery.enrol("Berta", []),
        lambda: gallery.enrol("Berta", faces(1, dimension=8)),
        lambda: gallery.enrol("Berta", [*faces(1), *faces(1, dimension=8)]),
        lambda: gallery.enrol("Berta", [Template(faces(1)[0].embedding, quality=float("nan"))]),
        lambda: gallery.enrol("Berta", [Template(faces(1)[0].embedding, quality=1.5)]),
        lambda: gallery.enrol("Berta", [Template(faces(1)[0].embedding, source="x" * 5000)]),
        lambda: gallery.enrol("Berta", ["no template"]),  # type: ignore[list-item]  # what a caller may pass
        lambda: gallery.rename("0" * 32, "Berta"),
        lambda: gallery.rename("no id", "Berta"),
        lambda: gallery.remove(None),  # type: ignore[arg-type]  # what a caller may pass
        lambda: gallery.set_metadata("0" * 32, {}),
    ]
    for change in refused:
        with pytest.raises((InputError, ShapeError, GalleryError)):
            change()
    assert gallery.people() == [anna]
    assert len(gallery.audit()) == 1
    assert gallery.check().is_clean


def test_a_path_that_is_not_utf8_is_stored_as_a_source(gallery: DurableGallery, faces: MakeFaces) -> None:
    template = Template(faces(1)[0].embedding, source="caf\udce9.jpg")
    anna = gallery.enrol("Anna", [template])
    assert gallery.templates(anna.id)[0].source == "caf\\udce9.jpg"


def test_mean_and_best_are_different_questions(gallery: DurableGallery) -> None:
    axes = np.eye(3, dtype=np.float32)
    gallery.enrol("Anna", [Template(axes[0]), Template(-axes[0])])
    gallery.enrol("Berta", [Template(np.array([0.6, 0.8, 0], np.float32))])
    question = axes[:1]
    assert [one.name for one in gallery.search(question)[0]] == ["Anna", "Berta"]
    by_mean = gallery.search(question, aggregate="mean")[0]
    assert [one.name for one in by_mean] == ["Berta", "Anna"]
    assert [one.similarity for one in by_mean] == pytest.approx([0.6, 0.0])
    assert gallery.search(question, top_k=1, min_similarity=0.7, aggregate="mean") == [()]


def test_an_empty_gallery_knows_nobody(gallery: DurableGallery, faces: MakeFaces) -> None:
    assert gallery.people() == []
    assert gallery.search(probe(faces(1)[0])) == [()]
    assert gallery.stats().people == 0
    assert gallery.check().is_clean


def test_stats_count_what_is_there(gallery: DurableGallery, faces: MakeFaces, engine: Any) -> None:
    gallery.enrol("Anna", faces(2))
    gallery.enrol("Berta", faces(1, crops=False))
    stats = gallery.stats()
    assert (stats.people, stats.templates, stats.crops) == (2, 3, 2)
    assert (stats.contract, stats.dimension, stats.schema_version) == (
        "contract-1", 16, engine.schema_version,
    )  # fmt: skip
    assert stats.n_bytes > (100 if engine.name == "milvus" else 10_000)  # Milvus tells of the vectors alone
    assert stats.index == "none: every template is compared"
