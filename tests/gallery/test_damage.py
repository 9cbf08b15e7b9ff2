"""Damage is found, named, and survived: flipped bytes, swapped and lost rows, broken pages."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery, salvage
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def filled(gallery: SqliteGallery, faces: MakeFaces, path: Path) -> Path:
    """The file of a closed gallery: Anna with two templates, Berta and Cora with one."""
    gallery.enrol("Anna", faces(2, seed=1), metadata={"team": "red"})
    gallery.enrol("Berta", faces(1, seed=2))
    gallery.enrol("Cora", faces(1, seed=3))
    gallery.close()
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change rows past the gallery, as a bug or a bad disk would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount == 1


def flip(path: Path, found: bytes, *, at: int = 0) -> None:
    """Flip one bit of the file itself, inside the only place where these bytes are."""
    content = bytearray(path.read_bytes())
    assert content.count(found) == 1
    content[content.index(found) + at] ^= 0x10
    path.write_bytes(content)


def every_probe(faces: MakeFaces) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.stack([face.embedding for face in [*faces(2, seed=1), *faces(1, seed=2), *faces(1, seed=3)]])


FLIPPED_VECTOR = (
    "UPDATE templates SET vector = CAST(substr(vector, 1, 5) || x'7f' || substr(vector, 7) AS BLOB) "
    "WHERE id = 3"
)


def test_a_byte_flipped_by_sql_in_a_vector_is_found(filled: Path, faces: MakeFaces) -> None:
    tamper(filled, FLIPPED_VECTOR)
    with SqliteGallery(filled) as gallery:
        with pytest.raises(GalleryError) as caught:
            gallery.search(every_probe(faces))
        for part in (str(filled), "template 3", "'Berta'", "--salvage"):
            assert part in str(caught.value)
        (damage,) = gallery.check().damaged
        assert (damage.what, damage.name) == ("template 3", "Berta")


def test_a_byte_flipped_in_the_file_in_a_vector_is_found(filled: Path, faces: MakeFaces) -> None:
    flip(filled, faces(1, seed=2)[0].embedding.tobytes(), at=17)
    with closing(sqlite3.connect(filled)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "SQLite sees nothing"
    with SqliteGallery(filled) as gallery:
        with pytest.raises(GalleryError, match="template 3 of 'Berta'"):
            gallery.search(every_probe(faces))
        with pytest.raises(GalleryError, match="template 3 of 'Berta'"):
            gallery.templates(gallery.find("Berta").id)
        assert [str(damage) for damage in gallery.check().damaged] == [
            "template 3 of 'Berta': it is not what was written (checksum)"
        ]


def test_a_byte_flipped_in_a_crop_is_found_when_the_crop_is_read(filled: Path, faces: MakeFaces) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        (crop,) = connection.execute("SELECT crop FROM templates WHERE id = 1").fetchone()
    flip(filled, crop, at=60)
    with SqliteGallery(filled) as gallery:
        assert gallery.search(every_probe(faces))[0][0].name == "Anna"
        with pytest.raises(GalleryError, match="the crop of template 1 of 'Anna'"):
            gallery.templates(gallery.find("Anna").id)
        (damage,) = gallery.check().damaged
        assert damage.what == "the crop of template 1"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE templates SET identity_id = (SELECT id FROM people WHERE name = 'Cora') WHERE id = 3",
        "UPDATE templates SET vector = (SELECT vector FROM templates WHERE id = 4) WHERE id = 3",
        "UPDATE templates SET contract = 'contract-2' WHERE id = 3",
        "UPDATE templates SET dimension = 8 WHERE id = 3",
        "UPDATE templates SET dimension = 'wide' WHERE id = 3",
        "UPDATE templates SET quality = 0.99 WHERE id = 3",
        "UPDATE templates SET source = 'other.jpg' WHERE id = 3",
        "UPDATE templates SET created = '1999-01-01' WHERE id = 3",
        "UPDATE templates SET crop_digest = NULL WHERE id = 3",
        "UPDATE templates SET checksum = x'00' WHERE id = 3",
        "UPDATE templates SET vector = 'text' WHERE id = 3",
        "UPDATE templates SET vector = 7 WHERE id = 3",
        "UPDATE templates SET id = 77 WHERE id = 3",
        "UPDATE people SET name = 'Bertha' WHERE name = 'Berta'",
        "UPDATE people SET metadata = '{}' WHERE name = 'Anna'",
        "UPDATE people SET metadata = '{' WHERE name = 'Anna'",
        "UPDATE people SET created = x'00ff' WHERE name = 'Anna'",
        "UPDATE people SET template_count = 1 WHERE name = 'Anna'",
        "UPDATE people SET checksum = '' WHERE name = 'Anna'",
        "UPDATE people SET metadata = CAST(x'7bff7d' AS TEXT) WHERE name = 'Anna'",
        "DELETE FROM templates WHERE id = 2",
        "DELETE FROM people WHERE name = 'Cora'",
    ],
)
def test_no_changed_row_goes_unnoticed(filled: Path, faces: MakeFaces, change: str) -> None:
    tamper(filled, change)
    with SqliteGallery(filled) as gallery:
        with pytest.raises(GalleryError, match="damaged"):
            gallery.search(every_probe(faces))
        assert not gallery.check().is_clean
    with SqliteGallery(filled, salvage=True) as gallery:
        assert gallery.damaged
        assert gallery.check().damaged, "check looks at the damaged file, not at what was salvaged"
        assert len(gallery.search(every_probe(faces))) == 4


def test_text_that_is_no_text_any_more_names_the_row(filled: Path, faces: MakeFaces) -> None:
    tamper(filled, "UPDATE templates SET source = CAST(x'ff' AS TEXT) WHERE id = 3")
    with SqliteGallery(filled) as gallery, pytest.raises(GalleryError, match="template 3 of 'Berta'"):
        gallery.search(every_probe(faces))


def test_a_lost_template_is_missed_by_whatever_touches_the_person(filled: Path) -> None:
    tamper(filled, "DELETE FROM templates WHERE id = 2")
    with SqliteGallery(filled) as gallery:
        anna = gallery.find("Anna")
        with pytest.raises(GalleryError, match="2 templates were written, there are 1"):
            gallery.templates(anna.id)
        with pytest.raises(GalleryError, match="2 templates were written, there are 1"):
            gallery.remove(anna.id)
        assert gallery.find("Anna") == anna


def test_two_swapped_vectors_are_found(filled: Path, faces: MakeFaces) -> None:
    tamper(
        filled,
        "UPDATE templates SET id = 99 WHERE id = 3",
        "UPDATE templates SET id = 3 WHERE id = 4",
        "UPDATE templates SET id = 4 WHERE id = 99",
    )
    with SqliteGallery(filled) as gallery, pytest.raises(GalleryError, match="template 3 of 'Cora'"):
        gallery.search(every_probe(faces))


def test_a_changed_audit_entry_is_found(filled: Path) -> None:
    tamper(filled, "UPDATE audit SET actor = 'somebody else' WHERE seq = 2")
    with SqliteGallery(filled) as gallery:
        with pytest.raises(GalleryError, match="audit entry 2"):
            gallery.audit()
        assert [damage.what for damage in gallery.check().damaged] == ["audit entry 2"]
    with SqliteGallery(filled, salvage=True) as gallery:
        assert [entry.seq for entry in gallery.audit()] == [1, 3]


def test_damage_is_found_while_the_gallery_is_open(filled: Path, faces: MakeFaces) -> None:
    with SqliteGallery(filled) as gallery:
        gallery.search(every_probe(faces))
        anna = gallery.find("Anna").id
        tamper(
            filled,
            "UPDATE people SET name = 'Annette' WHERE name = 'Anna'",
            f"INSERT INTO changes (identity_id) VALUES ('{anna}')",
        )
        with pytest.raises(GalleryError, match="the record of 'Annette'"):
            gallery.search(every_probe(faces))
        with pytest.raises(GalleryError, match="the record of 'Annette'"):
            gallery.people()


def test_a_damaged_template_can_be_removed(filled: Path, faces: MakeFaces) -> None:
    tamper(filled, FLIPPED_VECTOR.replace("3", "2"))
    with SqliteGallery(filled) as gallery:
        gallery.remove_template(gallery.find("Anna").id, 2)
        assert gallery.search(every_probe(faces))[0][0].name == "Anna"
        assert gallery.check().is_clean


def test_salvage_reads_the_rest_and_lists_the_damage(filled: Path, faces: MakeFaces) -> None:
    tamper(filled, FLIPPED_VECTOR)
    before = filled.read_bytes()
    with SqliteGallery(filled, salvage=True) as gallery:
        assert [(damage.what, damage.name) for damage in gallery.damaged] == [("template 3", "Berta")]
        names = [(person.name, person.template_count) for person in gallery.people()]
        assert names == [("Anna", 2), ("Berta", 0), ("Cora", 1)]
        best = [answer[0].name for answer in gallery.search(every_probe(faces))]
        assert (best[0], best[1], best[3]) == ("Anna", "Anna", "Cora")
        assert gallery.contract == "contract-1"
        with pytest.raises(GalleryError, match="read-only"):
            gallery.enrol("Dora", faces(1))
    assert filled.read_bytes() == before


def test_salvage_copies_what_is_intact_to_a_new_file(filled: Path, faces: MakeFaces, tmp_path: Path) -> None:
    tamper(
        filled,
        FLIPPED_VECTOR.replace("3", "2"),
        "UPDATE people SET created = '' WHERE name = 'Berta'",
        "UPDATE templates SET crop = x'00' WHERE id = 4",
    )
    target = tmp_path / "copy.db"
    result = salvage(filled, target)
    assert (result.people, result.templates) == (2, 2)
    assert sorted((damage.what, damage.name) for damage in result.damaged) == [
        ("template 2", "Anna"),
        ("template 3", ""),  # it is intact, but whose it is cannot be told
        ("the crop of template 4", "Cora"),
        ("the record", "Berta"),
    ]
    with SqliteGallery(target, contract="contract-1") as gallery:
        assert gallery.check().is_clean
        assert [(person.name, person.template_count) for person in gallery.people()] == [
            ("Anna", 1),
            ("Cora", 1),
        ]
        assert gallery.find("Anna").metadata == {"team": "red"}
        assert gallery.templates(gallery.find("Cora").id)[0].crop is None
        assert [answer[0].name for answer in gallery.search(every_probe(faces))][::3] == ["Anna", "Cora"]
        assert len(gallery.audit()) == 3
        gallery.enrol("Anna", faces(1, seed=9))
        assert gallery.template_ids(gallery.find("Anna").id) == [1, 5], "ids are not used twice"


def test_salvage_never_overwrites(filled: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(GalleryError, match="there is a file already"):
        salvage(filled, target)
    assert target.read_text() == "precious"
    with pytest.raises(GalleryError, match="there is no folder"):
        salvage(filled, tmp_path / "missing" / "copy.db")


def test_an_intact_gallery_is_copied_whole(filled: Path, tmp_path: Path) -> None:
    result = salvage(filled, tmp_path / "copy.db")
    assert (result.people, result.templates, result.damaged) == (3, 4, ())
    with SqliteGallery(filled) as old, SqliteGallery(tmp_path / "copy.db") as new:
        assert old.people() == new.people()
        assert old.audit() == new.audit()


@pytest.fixture
def many(path: Path, faces: MakeFaces) -> Path:
    """The file of a closed gallery of 60 people, large enough for trees of several levels of pages."""
    with SqliteGallery(path, contract="contract-1") as gallery:
        for seed in range(60):
            note = {"note": "x" * 400}
            gallery.enrol(f"Person {seed:02}", faces(2, seed=seed, dimension=128), metadata=note)
    return path


def pages_of(path: Path, table: str) -> list[int]:
    """The numbers of the leaf pages of a table, found by the rows that can be read without them."""
    size = 4096
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    start = (root - 1) * size
    assert content[start] == 0x05, "an interior page of a table"
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    pointers = [int.from_bytes(content[start + 12 + 2 * i :][:2], "big") for i in range(cells)]
    return [int.from_bytes(content[start + pointer :][:4], "big") for pointer in pointers]


@pytest.mark.parametrize("table", ["templates", "people"])
def test_a_page_that_cannot_be_read_loses_only_its_own_rows(
    many: Path, faces: MakeFaces, tmp_path: Path, table: str
) -> None:
    leaf = pages_of(many, table)[1]
    content = bytearray(many.read_bytes())
    content[(leaf - 1) * 4096 : leaf * 4096] = b"\xff" * 4096
    many.write_bytes(content)
    with SqliteGallery(many) as gallery:
        with pytest.raises(GalleryError, match=rf"{many}: the file is damaged"):
            gallery.search(faces(1, dimension=128)[0].embedding[np.newaxis])
        reasons = [damage.reason for damage in gallery.check().damaged]
    assert any("cannot be read" in reason for reason in reasons)
    result = salvage(many, tmp_path / "copy.db")
    assert 0 < sum(damage.what.startswith("row ") for damage in result.damaged) < 60
    assert 40 < result.people <= 60
    assert 80 < result.templates < 120
    with SqliteGallery(tmp_path / "copy.db") as gallery:
        assert gallery.check().is_clean
        for seed in (0, 59):
            best = gallery.search(faces(1, seed=seed, dimension=128)[0].embedding[np.newaxis])[0][0]
            assert best.name == f"Person {seed:02}"


def test_a_gallery_without_a_first_page_cannot_be_salvaged(many: Path, tmp_path: Path) -> None:
    content = bytearray(many.read_bytes())
    content[100:4096] = b"\xff" * 3996
    many.write_bytes(content)
    with pytest.raises(GalleryError, match=str(many)):
        salvage(many, tmp_path / "copy.db")
    assert not list(tmp_path.glob("*copy*"))


def test_no_flipped_byte_gives_a_wrong_answer(many: Path, faces: MakeFaces) -> None:
    """Wherever in the file a byte is flipped: the answers are right, or a GalleryError tells of it."""
    intact = many.read_bytes()
    probes = np.stack([faces(1, seed=seed, dimension=128)[0].embedding for seed in range(0, 60, 7)])
    with SqliteGallery(many) as gallery:
        expected = gallery.people(), gallery.search(probes)
    generator = random.Random(0)
    noticed = 0
    for _ in range(150):
        content = bytearray(intact)
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        many.write_bytes(content)
        try:
            with SqliteGallery(many) as gallery:
                gallery.check()
                assert (gallery.people(), gallery.search(probes)) == expected
        except GalleryError:
            noticed += 1
        for leftover in many.parent.glob("people.db-*"):
            leftover.unlink()
    assert noticed > 20
