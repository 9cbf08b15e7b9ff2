"""`vultus enrol`, `identify`, `people` and `gallery`: a person's way through the gallery."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_a_person_is_enrolled_found_renamed_and_removed(
    vultus: Command, astronaut: Path, coffee: Path
) -> None:
    enrolled = vultus("enrol", "Eileen", astronaut, "--metadata", '{"team": "blue"}', "--json")
    assert enrolled.code == 0
    (person,) = json.loads(enrolled.out)
    assert person["photos"] == 1

    found = json.loads(vultus("identify", astronaut, coffee, "--json").out)
    assert [one["answer"] for one in found] == ["known", "no_face"]
    (face,) = found[0]["faces"]
    assert face["name"] == "Eileen"
    assert face["similarity"] > face["min_similarity"]

    assert vultus("people", "rename", "Eileen", "Eileen Collins").code == 0
    (shown,) = json.loads(vultus("people", "list", "--json").out)
    assert shown["name"] == "Eileen Collins"
    assert shown["id"] == person["id"]
    assert shown["metadata"] == {"team": "blue"}
    assert json.loads(vultus("people", "show", person["id"], "--json").out)["samples"][0]["crop"] is True

    assert vultus("people", "remove", "Eileen Collins", "--yes").code == 0
    assert json.loads(vultus("people", "list", "--json").out) == []
    assert json.loads(vultus("identify", astronaut, "--json").out)[0]["answer"] == "unknown"
    actions = [entry["action"] for entry in json.loads(vultus("gallery", "audit", "--json").out)]
    assert actions == ["enrol", "rename", "remove"]


def test_a_folder_of_people_is_enrolled_and_bad_ones_reported(
    vultus: Command, astronaut: Path, coffee: Path, tmp_path: Path
) -> None:
    for person, photo in {"Eileen": astronaut, "Cup": coffee}.items():
        (tmp_path / "people" / person).mkdir(parents=True)
        shutil.copy(photo, tmp_path / "people" / person)
    outcome = vultus("enrol", "--from-folder", tmp_path / "people", "--json")
    assert [person["name"] for person in json.loads(outcome.out)] == ["Eileen"]
    assert outcome.code == 2
    assert "no face" in outcome.err


def test_a_lookalike_under_another_name_is_warned_about(vultus: Command, astronaut: Path) -> None:
    vultus("enrol", "Eileen", astronaut)
    outcome = vultus("enrol", "Ellen", astronaut)
    assert outcome.code == 0
    assert "'Eileen'" in outcome.err
    assert "warning" in outcome.err
    assert vultus("enrol", "Helen", astronaut, "--force").err == ""


def test_a_gallery_is_asked_with_the_embedder_that_filled_it(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    people = tmp_path / "people.db"
    vultus("enrol", "Eileen", astronaut, "--gallery", people, "--embedder", "fastest")
    outcome = vultus("identify", astronaut, "--gallery", people, "--json")
    assert json.loads(outcome.out)[0]["faces"][0]["name"] == "Eileen", outcome.err
    again = vultus("index", astronaut, "--into", people, "--workers", 1, "--json")
    assert json.loads(again.out)["faces"] == 1, again.err
    refused = vultus("identify", astronaut, "--gallery", people, "--embedder", "accurate")
    assert refused.code == 5
    assert "compact-resnet-vultus-int8" in refused.err


def test_identify_without_a_gallery_says_so_and_makes_none(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    outcome = vultus("identify", astronaut, "--gallery", tmp_path / "none.db")
    assert outcome.code == 5
    assert "none.db" in outcome.err
    assert not (tmp_path / "none.db").exists()


def test_identify_draws_names(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    vultus("enrol", "Eileen", astronaut)
    outcome = vultus("identify", astronaut, "--draw", tmp_path / "named.png", "--top-k", 2)
    assert outcome.code == 0
    assert "Eileen" in outcome.out
    assert (tmp_path / "named.png").is_file()
    assert vultus("identify", astronaut, "--csv").out.splitlines()[0].startswith("image,face,answer,name")


def test_markup_in_names_is_only_text(vultus: Command, astronaut: Path) -> None:
    vultus("enrol", "[red]Eileen[/red]", astronaut)
    assert "[red]Eileen[/red]" in vultus("people", "list").out


def test_enrol_wants_a_name_and_a_photo_or_a_folder(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    for arguments in (
        [],
        ["Eileen"],
        ["Eileen", astronaut, "--from-folder", tmp_path],
        ["--from-folder", astronaut],
    ):
        outcome = vultus("enrol", *arguments)
        assert outcome.code == 2
        assert outcome.err.startswith("error: ")
    assert vultus("enrol", "Eileen", astronaut, "--metadata", "[1]").code == 2
    assert vultus("enrol", "Eileen", astronaut, "--metadata", "{").code == 2


def test_the_gallery_is_described_checked_exported_and_imported(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    vultus("enrol", "Eileen", astronaut)
    assert json.loads(vultus("gallery", "info", "--json").out)["people"] == 1
    assert vultus("gallery", "check").code == 0
    assert vultus("gallery", "export", tmp_path / "people.zip").code == 0
    other = tmp_path / "other.db"
    assert vultus("gallery", "import", tmp_path / "people.zip", "--gallery", other).code == 0
    assert json.loads(vultus("people", "list", "--gallery", other, "--json").out)[0]["name"] == "Eileen"
    again = vultus("gallery", "import", tmp_path / "people.zip", "--gallery", other)
    assert again.code == 5
    assert "Eileen" in again.err


def test_a_damaged_template_is_named_and_the_rest_salvaged(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    import sqlite3
    from contextlib import closing

    path = tmp_path / "people.db"
    vultus("enrol", "Eileen", astronaut, "--gallery", path)
    vultus("enrol", "Ellen", astronaut, "--gallery", path)
    with closing(sqlite3.connect(path)) as connection, connection:
        vector = bytearray(connection.execute("SELECT vector FROM templates WHERE id = 2").fetchone()[0])
        vector[5] ^= 1
        connection.execute("UPDATE templates SET vector = ? WHERE id = 2", (bytes(vector),))
    check = vultus("gallery", "check", "--gallery", path)
    assert check.code == 5
    assert "Ellen" in check.err
    refused = vultus("identify", astronaut, "--gallery", path)
    assert refused.code == 5
    assert "--salvage" in refused.err
    rest = vultus("identify", astronaut, "--gallery", path, "--salvage", "--json")
    assert json.loads(rest.out)[0]["faces"][0]["name"] == "Eileen"
    assert vultus("gallery", "salvage", path, tmp_path / "rescued.db").code == 0
    assert vultus("gallery", "check", "--gallery", tmp_path / "rescued.db").code == 0
