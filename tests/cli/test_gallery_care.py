"""The commands that keep a gallery right: calibrate, doctor, migrate, erase, encrypt and the like."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.gallery import SqliteGallery
from vultus.image import save_image
from vultus.types import Calibration, Interval, Template, ThresholdRates

Command = Callable[..., Any]

CONTRACT = "c4af13b9af14e833"  # of the default embedder


def shots(person: int, count: int, *, seed: int = 0) -> list[Template]:
    own, generator = np.random.default_rng(person).normal(size=128), np.random.default_rng((person, seed))
    rows = own + 0.05 * generator.normal(size=(count, 128))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    crops = generator.integers(0, 256, (count, 112, 112, 3), np.uint8)
    return [Template(row.astype(np.float32), crop) for row, crop in zip(rows, crops, strict=True)]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Five people, one of them a second time under another name, in a gallery of the default embedder."""
    path = tmp_path / "people.db"
    with SqliteGallery(path, contract=CONTRACT) as gallery:
        for person in range(5):
            gallery.enrol(f"Person {person}", shots(person, 2))
        gallery.enrol("Again", shots(3, 2, seed=1))
    return path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Aligned crops of twelve people, three each, as a folder of people."""
    generator = np.random.default_rng(0)
    for person in range(12):
        own = generator.integers(0, 256, (112, 112, 3))
        for number in range(3):
            crop = np.clip(own + generator.integers(-40, 41, own.shape), 0, 255).astype(np.uint8)
            folder = tmp_path / "faces" / f"p{person:02}"
            folder.mkdir(parents=True, exist_ok=True)
            save_image(crop, folder / f"{number}.png")
    return tmp_path / "faces"


def test_a_calibration_is_measured_stored_and_used(vultus: Command, faces: Path, people: Path) -> None:
    file = faces.parent / "calibration.json"
    done = vultus(
        "calibrate", faces, "--aligned", "--fmr", "0.1", "--fpir", "0.5", "--store", "--gallery", people,
        "--leave-out", "p00/0.png", "--output", file, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["contract"] == CONTRACT
    assert answer["about"]["left out"] == "p00/0.png"
    assert "35 faces of 12 people" in answer["about"]["data"]
    with SqliteGallery(people) as gallery:
        stored = gallery.calibration()
        assert stored is not None
        assert (stored.fmr, stored.fpir) == (0.1, 0.5)
    assert json.loads(file.read_text())["contract"] == CONTRACT
    shown = json.loads(vultus("gallery", "calibration", "--gallery", people, "--json").out)
    assert shown["templates"] == 12


def test_rates_that_cannot_be_shown_are_refused_with_the_number_it_takes(
    vultus: Command, faces: Path, people: Path
) -> None:
    refused = vultus("calibrate", faces, "--aligned", "--fmr", "1e-6")
    assert refused.code == 2
    assert "10,000,000" in refused.err.replace("\n", "")
    too_many = vultus("calibrate", faces, "--aligned", "--fmr", "0.1", "--gallery-size", "1000")
    assert too_many.code == 2
    wrong = vultus("calibrate", faces, "--aligned", "--fmr", "0.1", "--leave-out", "nobody/1.png")
    assert wrong.code == 2
    unknown = vultus("gallery", "calibration", "--gallery", people, "--fpir", "1e-9")
    assert unknown.code == 2


def test_the_shipped_calibration_decides_where_none_is_stored(vultus: Command, people: Path) -> None:
    shown = json.loads(vultus("gallery", "calibration", "--gallery", people, "--json").out)
    assert "lfw-dev" in shown["data"]
    assert shown["is_enough"]
    stricter = vultus("gallery", "calibration", "--gallery", people, "--fpir", "1e-3", "--json")
    assert json.loads(stricter.out)["min_similarity"] > shown["min_similarity"]


def test_the_doctor_finds_a_person_enrolled_twice_and_the_command_it_names_mends_it(
    vultus: Command, people: Path, tmp_path: Path
) -> None:
    page = tmp_path / "doctor.html"
    found = json.loads(vultus("gallery", "doctor", "--gallery", people, "--page", page, "--json").out)
    (duplicate,) = [one for one in found["findings"] if one["kind"] == "duplicate"]
    assert "data:image/png" in page.read_text()
    assert vultus("people", "merge", "Person 3", "Again", "--gallery", people).code == 0
    assert "vultus people merge" in duplicate["commands"][0]
    again = json.loads(vultus("gallery", "doctor", "--gallery", people, "--json").out)
    assert "duplicate" not in [one["kind"] for one in again["findings"]]
    assert "confused" in vultus("gallery", "doctor", "--gallery", people).out


def test_people_who_differ_are_left_alone(vultus: Command, people: Path) -> None:
    def kinds() -> list[str]:
        found = json.loads(vultus("gallery", "doctor", "--gallery", people, "--json").out)
        return [one["kind"] for one in found["findings"]]

    assert "duplicate" in kinds()
    assert vultus("people", "differ", "Again", "Person 3", "--gallery", people).code == 0
    assert "duplicate" not in kinds()
    assert vultus("people", "differ", "Again", "Person 3", "--undo", "--gallery", people).code == 0
    assert "duplicate" in kinds()


def test_templates_are_moved_and_removed_by_their_number(vultus: Command, people: Path) -> None:
    shown = json.loads(vultus("people", "show", "Person 0", "--gallery", people, "--json").out)
    first, second = (one["template"] for one in shown["samples"])
    assert vultus("people", "move", "Person 0", first, "Person 1", "--gallery", people).code == 0
    last = vultus("people", "remove-template", "Person 0", second, "--gallery", people)
    assert last.code == 5
    assert "last one" in last.err.replace("\n", " ")
    assert (
        len(json.loads(vultus("people", "show", "Person 1", "--gallery", people, "--json").out)["samples"])
        == 3
    )


def test_an_erased_person_is_proven_to_be_gone(vultus: Command, people: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.zip"
    vultus("gallery", "export", backup, "--gallery", people)
    proof = vultus("gallery", "erase", "Person 1", "--yes", "--gallery", people, "--json")
    assert proof.code == 0, proof.err
    assert json.loads(proof.out)[0]["found"] == []
    copied = vultus("gallery", "erase", "Person 2", "--yes", "--also-search", backup, "--gallery", people)
    assert copied.code == 5
    assert "backup.zip" in copied.err.replace("\n", "")
    log = tmp_path / "audit.csv"
    assert vultus("gallery", "audit", "--output", log, "--gallery", people).code == 0
    lines = log.read_text().splitlines()
    assert lines[0] == "seq,at,actor,action,identity_id,name,detail"
    assert not any("Person 1" in line or "Person 2" in line for line in lines)
    assert sum(",erase," in line for line in lines) == 2


def test_people_go_when_their_time_has_come(vultus: Command, people: Path) -> None:
    with SqliteGallery(people) as gallery:
        gallery.set_metadata(gallery.find("Person 4").id, {"keep_until": "2001-01-01"})
    assert json.loads(vultus("gallery", "retention", "--days", "30", "--gallery", people, "--json").out) == {
        "days": 30, "due": ["Person 4"],
    }  # fmt: skip
    assert vultus("gallery", "retention", "--apply", "--yes", "--gallery", people).code == 0
    assert "due: nobody" in vultus("gallery", "retention", "--forever", "--gallery", people).out


def test_a_gallery_is_encrypted_and_its_key_changed(
    vultus: Command, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    for key in (old, new):
        assert vultus("gallery", "new-key", key).code == 0
    assert vultus("gallery", "new-key", old).code == 2, "a key is never overwritten"
    assert vultus("gallery", "encrypt", "--key", old, "--gallery", people).code == 0
    assert vultus("people", "list", "--gallery", people).code == 0
    assert vultus("people", "show", "Person 1", "--gallery", people).code == 5
    rotated = vultus("gallery", "rotate-key", "--key", old, "--new-key", new, "--gallery", people)
    assert rotated.code == 0, rotated.err
    assert vultus("gallery", "export", tmp_path / "out.zip", "--gallery", people).code == 5
    monkeypatch.setenv("VULTUS_GALLERY_KEY_FILE", str(new))
    assert vultus("people", "show", "Person 1", "--gallery", people).code == 0
    assert vultus("gallery", "export", tmp_path / "out.zip", "--decrypted", "--gallery", people).code == 0
    monkeypatch.setenv("VULTUS_GALLERY_KEY_FILE", str(old))
    assert vultus("people", "show", "Person 1", "--gallery", people).code == 5


def test_a_gallery_is_given_to_another_network_and_back(vultus: Command, people: Path) -> None:
    prepared = vultus(
        "gallery", "migrate", "--to", "slim-sface-vultus", "--flip", "--gallery", people, "--json"
    )
    assert prepared.code == 0, prepared.err
    facts = json.loads(prepared.out)
    assert facts["vectors made"] == 12
    assert "no calibration" in facts["decisions"]
    switched = vultus(
        "gallery", "migrate", "--to", "slim-sface-vultus", "--flip", "--switch", "--gallery", people
    )
    assert switched.code == 0, switched.err
    with SqliteGallery(people) as gallery:
        assert gallery.contract != CONTRACT
    assert vultus("gallery", "migrate", "--back", "--gallery", people).code == 0
    with SqliteGallery(people) as gallery:
        assert gallery.contract == CONTRACT
        assert gallery.check().is_clean
    assert vultus("gallery", "migrate", "--forget", "--gallery", people).code == 0
    assert vultus("gallery", "migrate", "--back", "--gallery", people).code == 5
    assert vultus("gallery", "migrate", "--gallery", people).code == 2


def test_verify_says_what_its_answer_rests_on(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    same = vultus("verify", astronaut, astronaut, "--json")
    answer = json.loads(same.out)
    assert (same.code, answer["answer"], answer["is_same"]) == (0, "known", True)
    assert 0 < answer["fmr"] < 1e-5
    assert "strangers come as close" in vultus("verify", astronaut, astronaut).out


def test_identify_has_a_third_answer_between_yes_and_no(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    path = tmp_path / "crew.db"
    assert vultus("enrol", "Eileen", astronaut, "--gallery", path).code == 0
    rates = tuple(
        ThresholdRates(threshold, fmr, Interval(0.0, 1.0), fnmr, 10, 10_000, 100)
        for threshold, fmr, fnmr in ((0.5, 0.1, 0.0), (0.9999999, 0.01, 0.5))
    )
    with SqliteGallery(path) as gallery:
        gallery.set_calibration(Calibration(CONTRACT, rates, 0.01, 0.01))
        person = gallery.find("Eileen")
        (template,) = gallery.templates(person.id)
        tilted = template.embedding + 0.05 * np.random.default_rng(0).normal(size=128)
        gallery.enrol("Eileen", [Template((tilted / np.linalg.norm(tilted)).astype(np.float32))])
        gallery.remove_template(person.id, gallery.template_ids(person.id)[0])
    found = json.loads(vultus("identify", astronaut, "--gallery", path, "--json").out)
    (face,) = found[0]["faces"]
    assert (face["answer"], face["name"], face["fmr"]) == ("not_enough_evidence", None, 0.1)
    assert face["candidates"][0]["name"] == "Eileen"
