"""A gallery in a server, from the command line: an address where a file may stand; `copy` and `index`."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.gallery import SqliteGallery
from vultus.types import Template

Command = Callable[..., Any]


@pytest.fixture
def uri(postgres: str) -> str:
    """The address of a gallery that nobody else uses."""
    return f"{postgres}{'&' if '?' in postgres else '?'}gallery={uuid.uuid4().hex}"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Thirty people in a file."""
    path = tmp_path / "people.db"
    rows = np.random.default_rng(0).standard_normal((30, 16))
    with SqliteGallery(path, contract="c") as gallery:
        for number, row in enumerate(rows):
            gallery.enrol(f"person {number:02}", [Template((row / np.linalg.norm(row)).astype(np.float32))])
    return path


def test_a_person_is_enrolled_found_and_removed_in_a_server(
    vultus: Command, astronaut: Path, uri: str
) -> None:
    there = ("--gallery", uri)
    enrolled = vultus("enrol", "Eileen", astronaut, *there, "--json")
    assert enrolled.code == 0, enrolled.err
    found = json.loads(vultus("identify", astronaut, *there, "--json").out)
    assert found[0]["faces"][0]["name"] == "Eileen"
    assert vultus("people", "rename", "Eileen", "Eileen Collins", *there).code == 0
    assert json.loads(vultus("people", "show", "Eileen Collins", *there, "--json").out)["templates"] == 1
    facts = json.loads(vultus("gallery", "info", *there, "--json").out)
    assert facts["people"] == 1
    assert facts["gallery"].startswith("postgresql://")
    assert vultus("gallery", "check", *there).code == 0
    assert vultus("people", "remove", "Eileen Collins", *there, "--yes").code == 0
    actions = [entry["action"] for entry in json.loads(vultus("gallery", "audit", *there, "--json").out)]
    assert actions == ["enrol", "rename", "remove"]


def test_a_gallery_that_is_not_there_is_named_and_not_made(vultus: Command, uri: str) -> None:
    for command in (("people", "list"), ("gallery", "info"), ("gallery", "index")):
        outcome = vultus(*command, "--gallery", uri)
        assert outcome.code == 5
        assert "there is no gallery at" in outcome.err


def test_a_server_that_is_not_there_is_exit_5(vultus: Command) -> None:
    outcome = vultus("people", "list", "--gallery", "postgresql://me:secret@127.0.0.1:1/d")
    assert outcome.code == 5
    assert "cannot be reached" in outcome.err
    assert "secret" not in outcome.err


def test_a_copy_is_verified_and_can_be_repeated(vultus: Command, people: Path, uri: str) -> None:
    done = json.loads(vultus("gallery", "copy", people, uri, "--json").out)
    assert done == {"people": 30, "templates": 30, "already": 0, "compared": 30}
    assert "30 were there already" in vultus("gallery", "copy", people, uri, "--sample", 5).out
    back = people.with_name("back.db")
    assert vultus("gallery", "copy", uri, back).code == 0
    listed = [json.loads(vultus("people", "list", "--gallery", one, "--json").out) for one in (people, back)]
    assert listed[0] == listed[1]


def test_an_index_is_built_shown_and_dropped(vultus: Command, people: Path, uri: str) -> None:
    vultus("gallery", "copy", people, uri)
    built = json.loads(vultus("gallery", "index", "--gallery", uri, "--m", 8, "--json").out)
    assert (built["m"], built["recall"], built["probes"]) == (8, 1.0, 30)
    assert "recall at rank 1 1.0000" in vultus("gallery", "info", "--gallery", uri).out
    assert vultus("gallery", "index", "--gallery", uri, "--drop").code == 0
    assert "every template is compared" in vultus("gallery", "info", "--gallery", uri).out
    assert vultus("gallery", "index", "--gallery", people).code == 2


def test_a_person_is_erased_from_a_server(vultus: Command, people: Path, uri: str) -> None:
    vultus("gallery", "copy", people, uri)
    there = ("--gallery", uri)
    outcome = vultus("gallery", "erase", "person 03", *there, "--yes", "--json")
    assert outcome.code == 0, outcome.err
    assert len(json.loads(vultus("people", "list", *there, "--json").out)) == 29
    refused = vultus("gallery", "erase", "person 04", *there, "--yes", "--also-search", people)
    assert refused.code == 2


def test_what_works_on_files_alone_says_so(vultus: Command, uri: str, tmp_path: Path) -> None:
    for command in (("gallery", "export", tmp_path / "x.zip"), ("people", "list", "--salvage")):
        outcome = vultus(*command, "--gallery", uri)
        assert outcome.code == 2
        assert "vultus gallery copy" in outcome.err
