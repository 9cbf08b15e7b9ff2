"""`vultus cluster` on real photos: people, decisions, album, JSON, and what goes wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path, astronaut: Path, coffee: Path) -> Path:
    """One person in two photos that differ in their bytes, and a picture of nobody."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    shutil.copy(astronaut, folder / "a.png")
    (folder / "b.png").write_bytes(astronaut.read_bytes() + b"tagged")
    shutil.copy(coffee, folder / "c.png")
    return folder


def answer(done: Any) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_folder_becomes_people_whom_one_can_name(vultus: Command, photos: Path) -> None:
    album = photos / "people.html"
    first = answer(vultus("cluster", photos, "--album", album, "--json"))
    assert (first["files"], first["looked_at"], first["failures"]) == (3, 3, [])
    (person,) = first["people"]
    assert (person["name"], person["photos"]) == (None, 2)
    assert [face["files"] for face in person["faces"]] == [["a.png"], ["b.png"]]
    assert vultus("cluster", "name", photos, person["number"], "Eileen Collins").code == 0
    assert "Eileen Collins" in album.read_text("utf-8"), "the album follows"

    again = answer(vultus("cluster", "run", photos, "--json"))
    assert (again["looked_at"], again["people"][0]["name"]) == (0, "Eileen Collins")
    faces = [face["face"] for face in again["people"][0]["faces"]]
    assert vultus("cluster", "split", photos, "eileen collins", faces[1]).code == 0
    assert len(answer(vultus("cluster", photos, "--json"))["people"]) == 2
    merged = answer(vultus("cluster", "merge", photos, "Eileen Collins", person["number"] + 1, "--json"))
    assert [one["photos"] for one in merged["people"]] == [2]
    assert (
        len(answer(vultus("cluster", "reject", photos, "Eileen Collins", faces[1], "--json"))["people"]) == 2
    )
    moved = answer(vultus("cluster", "move", photos, "Eileen Collins", faces[1], "--json"))
    assert [one["photos"] for one in moved["people"]] == [2]
    listed = vultus("cluster", "list", photos)
    assert "Eileen Collins" in listed.out
    assert "people: 1 in several photos" in listed.err


def test_the_state_may_lie_elsewhere(vultus: Command, photos: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    assert vultus("cluster", photos, "--state", state).code == 0
    assert state.exists()
    assert not list(photos.glob(".*"))
    assert len(answer(vultus("cluster", "list", photos, "--state", state, "--json"))["people"]) == 1


def test_what_goes_wrong_has_its_exit_code(vultus: Command, photos: Path, tmp_path: Path) -> None:
    nothing = vultus("cluster", "name", photos, "1", "Anna")
    assert (nothing.code, "run `vultus cluster` first" in nothing.err.replace("\n", " ")) == (5, True)
    (photos / "broken.jpg").write_bytes(b"no image")
    broken = vultus("cluster", photos, "--json")
    assert broken.code == 2
    assert "broken.jpg" in broken.err
    assert len(json.loads(broken.out)["people"]) == 1, "the others are there all the same"
    assert vultus("cluster", "name", photos, "77", "Anna").code == 5
    assert vultus("cluster", tmp_path / "nowhere").code == 2
    (photos / ".vultus-people.db").write_bytes(b"damaged " * 1000)
    damaged = vultus("cluster", "list", photos)
    assert damaged.code == 5
    assert "damaged" in damaged.err


def test_help_shows_the_short_form(vultus: Command) -> None:
    shown = vultus("cluster", "--help")
    assert shown.code == 0
    assert "vultus cluster PHOTOS/" in shown.out
    assert "merge" in shown.out
