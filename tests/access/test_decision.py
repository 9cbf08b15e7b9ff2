"""Doors: who may pass, when, and on how much evidence."""

from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vultus.access.decision import Outcome, Reason, decide
from vultus.access.doors import Door, Hours, read_doors
from vultus.choices import FaceChoice
from vultus.errors import InputError
from vultus.gallery import SqliteGallery
from vultus.types import Candidate, Detections, Identity, Match, Template

MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=ZoneInfo("UTC"))
EVERYBODY = Door("front", everybody=True)


def face(size_px: float = 80) -> Detections:
    box = np.array([[10, 10, 10 + size_px, 10 + size_px]], np.float32)
    return Detections(box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))


@pytest.fixture
def gallery(tmp_path: Path) -> SqliteGallery:
    made = SqliteGallery(tmp_path / "people.db", contract="c")
    for i, (name, team) in enumerate((("Ada", "blue"), ("Bob", "red"))):
        made.enrol(name, [Template(np.eye(4, dtype=np.float32)[i])], metadata={"team": team, "badge": i})
    return made


def match(gallery: SqliteGallery, *similarities: float, **options: Any) -> Match:
    """Ada, and then Bob, are so close; the threshold is 0.5."""
    people = [gallery.find(name) for name in ("Ada", "Bob")]
    candidates = tuple(
        Candidate(one.id, one.name, value) for one, value in zip(people, similarities, strict=False)
    )
    return Match(candidates, 0.5, **options)


@pytest.mark.parametrize(
    ("door", "similarities", "size_px", "outcome", "reasons"),
    [
        (EVERYBODY, (0.9, 0.1), 80, "allow", ["admitted"]),
        (EVERYBODY, (0.5,), 80, "allow", ["admitted"]),
        (EVERYBODY, (0.3, 0.1), 80, "deny", ["unknown_person"]),
        (EVERYBODY, (), 80, "deny", ["unknown_person"]),
        (EVERYBODY, (0.47,), 80, "unsure", ["not_enough_evidence"]),
        (EVERYBODY, (0.9,), 20, "unsure", ["face_too_small"]),
        (EVERYBODY, (0.47,), 20, "unsure", ["face_too_small", "not_enough_evidence"]),
        (EVERYBODY, (0.62, 0.6), 80, "unsure", ["two_people_are_as_close"]),
        (EVERYBODY, (0.62, 0.2), 80, "allow", ["admitted"]),
        (Door("d", everybody=True, min_similarity=0.8), (0.7,), 80, "deny", ["unknown_person"]),
        (Door("d", everybody=True, min_similarity=0.8), (0.78,), 80, "unsure", ["not_enough_evidence"]),
        (Door("d", everybody=True, min_similarity=0.1), (0.4,), 80, "deny", ["unknown_person"]),
        (Door("d", people=frozenset({"Ada"})), (0.9,), 80, "allow", ["admitted"]),
        (Door("d", people=frozenset({"Bob"})), (0.9,), 80, "deny", ["not_admitted_here"]),
        (Door("d", groups={"team": frozenset({"blue"})}), (0.9,), 80, "allow", ["admitted"]),
        (Door("d", groups={"badge": frozenset({"0"})}), (0.9,), 80, "allow", ["admitted"]),
        (Door("d", groups={"team": frozenset({"red"})}), (0.9,), 80, "deny", ["not_admitted_here"]),
        (
            Door("d", everybody=True, hours=(Hours(frozenset({0}), time(8), time(11)),)),
            (0.9,),
            80,
            "deny",
            ["outside_hours"],
        ),
    ],
)
def test_the_decision_follows_the_evidence_and_the_door(
    gallery: SqliteGallery,
    door: Door,
    similarities: tuple[float, ...],
    size_px: float,
    outcome: str,
    reasons: list[str],
) -> None:
    decision = decide(face(size_px), match(gallery, *similarities), door, gallery=gallery, at=MONDAY_NOON)
    assert (decision.outcome, list(decision.reasons)) == (outcome, reasons)
    is_named = decision.outcome == Outcome.ALLOW or Reason.NOT_ADMITTED in decision.reasons
    is_named = is_named or Reason.OUTSIDE_HOURS in decision.reasons
    assert (decision.person is not None) == is_named, "nobody is named on thin evidence"


def test_a_calibrated_grey_zone_widens_the_doors_margin(gallery: SqliteGallery) -> None:
    seen = match(gallery, 0.4, doubtful_from=0.35)
    assert decide(face(), seen, EVERYBODY, gallery=gallery, at=MONDAY_NOON).outcome == Outcome.UNSURE


@pytest.mark.parametrize(
    ("text", "at", "is_open"),
    [
        ("mon-fri 07:00-19:30", "2026-03-02 07:00", True),
        ("mon-fri 07:00-19:30", "2026-03-02 19:30", False),
        ("mon-fri 07:00-19:30", "2026-03-07 12:00", False),
        ("sat 08:00-12:00", "2026-03-07 11:59", True),
        ("fri-mon 08:00-12:00", "2026-03-08 09:00", True),
        ("fri-mon 08:00-12:00", "2026-03-04 09:00", False),
        ("sun 22:00-06:00", "2026-03-08 23:00", True),
        ("sun 22:00-06:00", "2026-03-09 05:00", True),
        ("sun 22:00-06:00", "2026-03-08 05:00", False),
        ("sun 22:00-06:00", "2026-03-09 06:00", False),
    ],
)
def test_hours_are_those_of_the_day_they_begin_on(tmp_path: Path, text: str, at: str, is_open: bool) -> None:
    file = tmp_path / "doors.toml"
    file.write_text(f'[doors.lab]\neverybody = true\nhours = ["{text}"]\n')
    assert read_doors(file).doors["lab"].is_open(datetime.fromisoformat(at)) is is_open


def test_a_file_of_doors_is_read(tmp_path: Path) -> None:
    file = tmp_path / "doors.toml"
    file.write_text(
        'timezone = "Europe/Berlin"\n[doors.lab]\npeople = ["Ada"]\ngroups = { team = ["blue", "red"] }\n'
        'min_similarity = 0.5\nmargin = 0.02\nmin_face_px = 60\nfaces = "largest"\n'
        "[doors.front]\neverybody = true\n"
    )
    plan = read_doors(file)
    assert plan.timezone == ZoneInfo("Europe/Berlin")
    assert plan.doors["lab"] == Door(
        "lab",
        people=frozenset({"Ada"}),
        groups={"team": frozenset({"blue", "red"})},
        min_similarity=0.5,
        margin=0.02,
        min_face_px=60,
        faces=FaceChoice.LARGEST,
    )
    assert plan.doors["front"].admits(Identity("1", "Anybody"))
    assert list(read_doors(None).doors) == ["default"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("doors = 1", "doors.NAME"),
        ("", "doors.NAME"),
        ("[doors.a]\n", "nobody may pass"),
        ("[doors.a]\neverybody = true\nmargn = 1\n", "margn"),
        ("[doors.a]\neverybody = true\nmargin = 2\n", "number from 0 to 1"),
        ("[doors.a]\neverybody = true\nmin_similarity = true\n", "number"),
        ('[doors.a]\neverybody = true\nhours = ["noon"]\n', "hours read like"),
        ('[doors.a]\neverybody = true\nhours = ["mon 25:00-26:00"]\n', "hour must be"),
        ('[doors.a]\npeople = "Ada"\n', "list of texts"),
        ('[doors.a]\neverybody = true\nfaces = "all"\n', "FaceChoice"),
        ('[doors."A/../b"]\neverybody = true\n', "a door is a table"),
        ('timezone = "Mars"\n[doors.a]\neverybody = true\n', "timezone"),
        ('timezone = "../../etc/passwd"\n[doors.a]\neverybody = true\n', "timezone"),
        ("nonsense", "cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "doors.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=told):
        read_doors(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_doors(tmp_path / "nowhere.toml")
