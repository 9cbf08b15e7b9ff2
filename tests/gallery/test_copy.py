"""A copy is the same gallery, whichever engines it goes between."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.errors import GalleryError
from vultus.gallery import DurableGallery, SqliteGallery, copy_gallery
from vultus.gallery.record import Record
from vultus.types import Calibration, Interval, Template, ThresholdRates

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def source(tmp_path: Path, faces: MakeFaces) -> Iterator[SqliteGallery]:
    """Twelve people in a file, some of them without crops."""
    with SqliteGallery(tmp_path / "source.db", contract="contract-1", actor="tester") as gallery:
        for seed in range(12):
            templates = faces(1 + seed % 3, seed=seed, crops=seed % 4 != 0)
            gallery.enrol(f"person {11 - seed}", templates, metadata={"number": seed})
        yield gallery


def digests(gallery: DurableGallery) -> list[tuple[str, bytes]]:
    return [(record.person.id, record.digest()) for record in gallery.records()]


def test_people_go_from_a_file_to_each_engine_and_back(
    source: SqliteGallery, engine: Any, tmp_path: Path, faces: MakeFaces
) -> None:
    rates = ThresholdRates(0.5, 0.001, Interval(0.0, 0.002), 0.1, 1, 1000, 100)
    calibration = Calibration("contract-1", (rates,), fmr=0.001, fpir=0.01)
    source.set_calibration(calibration)
    with engine.open(contract="contract-1", actor="mover") as moved:
        done = copy_gallery(source, moved)
        assert (done.people, done.templates, done.already, done.compared) == (12, 24, 0, 12)
        assert moved.check().is_clean
        assert moved.people() == source.people()
        assert digests(moved) == digests(source), "in order of enrolment, too"
        assert moved.calibration() == calibration
        probes = np.stack([face.embedding for face in faces(5, seed=99)])
        assert moved.search(probes, top_k=12) == source.search(probes, top_k=12)
        assert {(entry.actor, entry.action) for entry in moved.audit()} == {
            ("mover", "import"), ("mover", "set_calibration"),
        }  # fmt: skip
        with SqliteGallery(tmp_path / "back.db") as back:
            copy_gallery(moved, back)
            assert digests(back) == digests(source)
            assert back.contract == "contract-1"


def test_a_copy_that_was_interrupted_is_finished(source: SqliteGallery, engine: Any) -> None:
    with engine.open() as moved:
        moved.add_records(list(source.records())[:5])
        done = copy_gallery(source, moved)
        assert (done.people, done.already) == (7, 5)
        again = copy_gallery(source, moved)
        assert (again.people, again.templates, again.already, again.compared) == (0, 0, 12, 12)
        assert digests(moved) == digests(source)


def test_people_join_those_who_are_there(source: SqliteGallery, engine: Any, faces: MakeFaces) -> None:
    with engine.open(contract="contract-1") as moved:
        zoe = moved.enrol("Zoe", faces(1, seed=77))
        done = copy_gallery(source, moved)
        assert (done.people, done.compared) == (12, 0)
        assert len(moved.people()) == 13
        assert moved.find("Zoe") == zoe
        assert moved.template_count() == 25


def test_a_name_that_is_taken_stops_a_copy_before_it_begins(
    source: SqliteGallery, engine: Any, faces: MakeFaces
) -> None:
    with engine.open(contract="contract-1") as moved:
        moved.enrol("PERSON 3", faces(1, seed=77))
        with pytest.raises(GalleryError, match=r"'PERSON 3' is in .* already, as another person"):
            copy_gallery(source, moved)
        assert len(moved.people()) == 1


def test_somebody_who_changed_in_the_target_is_named(
    source: SqliteGallery, engine: Any, faces: MakeFaces
) -> None:
    with engine.open() as moved:
        copy_gallery(source, moved)
        moved.enrol("person 3", faces(1, seed=77))
        with pytest.raises(GalleryError, match=r"'person 3' .* is not in .* as in the source"):
            copy_gallery(source, moved)


def test_vectors_of_another_contract_are_not_copied(
    source: SqliteGallery, engine: Any, faces: MakeFaces
) -> None:
    with engine.open(contract="contract-2") as moved:
        with pytest.raises(GalleryError, match=r"contract-1.*contract-2"):
            copy_gallery(source, moved)
        moved.enrol("Zoe", faces(1))
    with engine.open() as moved:
        with pytest.raises(GalleryError, match=r"contract-[12].*contract-[12]"):
            copy_gallery(source, moved)
        assert [person.name for person in moved.people()] == ["Zoe"]


def test_crops_stay_behind_where_they_are_not_wanted(source: SqliteGallery, engine: Any) -> None:
    with engine.open(keep_crops=False) as moved:
        assert copy_gallery(source, moved, crops=False).people == 12
        assert moved.stats().crops == 0
        assert moved.check().is_clean
        assert copy_gallery(source, moved, crops=False).already == 12


def test_records_that_are_there_are_refused_all_of_them(source: SqliteGallery, engine: Any) -> None:
    first, second, *_ = source.records()
    with engine.open() as moved:
        moved.add_records([second])
        with pytest.raises(GalleryError, match=r"in the gallery already.*'person 10'"):
            moved.add_records([first, second])
        renamed = Record(replace(first.person, name="PERSON 10", name_key="person 10"), first.faces)
        with pytest.raises(GalleryError, match="in the gallery already"):
            moved.add_records([renamed])
        assert [person.name for person in moved.people()] == ["person 10"]


def test_an_empty_gallery_makes_an_empty_copy(tmp_path: Path, engine: Any) -> None:
    with SqliteGallery(tmp_path / "empty.db") as empty, engine.open() as moved:
        assert copy_gallery(empty, moved).people == 0


def test_damage_in_the_source_stops_a_copy(source: SqliteGallery, engine: Any, tmp_path: Path) -> None:
    source.close()
    content = source.path.read_bytes()
    source.path.write_bytes(content.replace(b"photo 0.jpg", b"photo 7.jpg", 1))
    with SqliteGallery(source.path) as damaged, engine.open() as moved:  # noqa: SIM117
        with pytest.raises(GalleryError, match="damaged"):
            copy_gallery(damaged, moved)
