"""A crash loses nothing that was acknowledged; damage is an error with a name, never a wrong answer."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from vultus.cluster import PhotoState, decisions, overview
from vultus.errors import GalleryError

Collection = Any


def answers(state: PhotoState) -> Any:
    shown = overview(state)
    people = [(one.number, one.name, [(face.id, face.box) for face in one.faces]) for one in shown.people]
    return people, sorted(shown.paths.items()), shown.min_similarity


def test_a_flipped_byte_changes_no_answer_without_an_error(party: Collection, tmp_path: Path) -> None:
    decisions.name(party.state, party.person("ada-1.png"), "Ada")
    before = answers(party.state)
    party.state.close()
    data = party.state.path.read_bytes()
    copy = tmp_path / "damaged.db"
    told: list[str] = []
    for place in random.Random(0).sample(range(len(data)), 150):
        copy.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            with PhotoState(copy) as state:
                assert answers(state) == before
        except GalleryError as error:
            told.append(str(error))
    assert len(told) > 5
    assert [message for message in told if str(copy) not in message] == []


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_told_of(party: Collection, kept: float, tmp_path: Path) -> None:
    party.state.close()
    data = party.state.path.read_bytes()
    copy = tmp_path / "short.db"
    copy.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(GalleryError, match="damaged"), PhotoState(copy) as state:
        answers(state)


def test_a_row_that_was_changed_behind_our_back_is_told_of(party: Collection) -> None:
    decisions.name(party.state, party.person("ada-1.png"), "Ada")
    party.state.close()
    with closing(sqlite3.connect(party.state.path)) as connection, connection:
        connection.execute("UPDATE people SET name = 'Eve' WHERE name = 'Ada'")
    with PhotoState(party.state.path) as state, pytest.raises(GalleryError, match="table people"):
        answers(state)


def test_a_face_that_got_lost_is_told_of(party: Collection) -> None:
    party.state.close()
    with closing(sqlite3.connect(party.state.path)) as connection, connection:
        connection.execute("DELETE FROM faces WHERE id = 1")
    with PhotoState(party.state.path) as state, pytest.raises(GalleryError, match="another number now"):
        answers(state)


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="nothing is known"):
        PhotoState(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()
    text = tmp_path / "text.db"
    text.write_text("hello " * 1000)
    with pytest.raises(GalleryError, match="no photo collection"):
        PhotoState(text)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(GalleryError, match="holds no photo collection"):
        PhotoState(tmp_path / "other.db", create=True)
    assert (tmp_path / "other.db").read_bytes() == before
    with pytest.raises(GalleryError, match="cannot be opened or made"):
        PhotoState(tmp_path, create=True)


def test_a_file_of_a_newer_version_is_refused(party: Collection) -> None:
    party.state.close()
    with closing(sqlite3.connect(party.state.path)) as connection, connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(GalleryError, match="newer"):
        PhotoState(party.state.path)


def test_a_collection_that_was_never_grouped_says_so(tmp_path: Path) -> None:
    with (
        PhotoState(tmp_path / "new.db", create=True) as state,
        pytest.raises(GalleryError, match="never grouped"),
    ):
        overview(state)


def test_a_closed_file_says_so(party: Collection) -> None:
    party.state.close()
    with pytest.raises(GalleryError, match="closed"):
        overview(party.state)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_file_is_its_owners_alone(party: Collection) -> None:
    assert stat.S_IMODE(party.state.path.stat().st_mode) == 0o600


def test_a_decision_that_fails_half_way_leaves_no_trace(party: Collection) -> None:
    with closing(sqlite3.connect(party.state.path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER fail BEFORE UPDATE ON people BEGIN SELECT RAISE(ABORT, 'the power went'); END"
        )
    before = answers(party.state)
    with pytest.raises(GalleryError, match="the power went"):
        decisions.name(party.state, party.person("ada-1.png"), "Ada")
    assert answers(party.state) == before


NAMES = """
import sys
from vultus.cluster import PhotoState, decisions

with PhotoState(sys.argv[1]) as state:
    for number in range(1_000_000):
        decisions.name(state, sys.argv[2], f"name {number}")
        print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_a_kill_loses_no_decision_that_was_acknowledged(party: Collection) -> None:
    person = party.person("ada-1.png")
    party.state.close()
    pause = random.Random(1)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", NAMES, str(party.state.path), person], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(pause.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in (first + process.stdout.read()).splitlines()]
        process.stdout.close()
        process.wait()
        with PhotoState(party.state.path) as state:
            (name,) = [one.name for one in overview(state).people if str(one.number) == person]
            assert name is not None
            assert int(name.removeprefix("name ")) in {acknowledged[-1], acknowledged[-1] + 1}
