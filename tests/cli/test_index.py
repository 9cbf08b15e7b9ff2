"""`vultus index`: photos into a gallery or a table from the command line, with the real networks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vultus.gallery import SqliteGallery

pytest.importorskip("fsspec", reason="photos are read through fsspec: pip install 'vultus[batch]'")
Command = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, astronaut: Path, coffee: Path) -> Path:
    """One person, a copy, a picture of nobody, and a text that is called a photo."""
    made = tmp_path / "photos" / "Eileen"
    made.mkdir(parents=True)
    shutil.copy(astronaut, made / "one.png")
    shutil.copy(astronaut, made / "two.png")
    shutil.copy(coffee, made / "coffee.png")
    (made / "text.jpg").write_text("no photo")
    return made.parent


def test_a_folder_is_indexed_once_and_its_faces_are_found(
    vultus: Command, folder: Path, tmp_path: Path, astronaut: Path
) -> None:
    into = tmp_path / "people.db"
    outcome = vultus("index", folder, "--into", into, "--workers", 1, "--json")
    assert outcome.code == 0, outcome.err
    done = json.loads(outcome.out)
    assert (done["photos"], done["done"], done["indexed"]) == (4, 4, 2)
    assert (done["repeated"], done["quarantined"], done["faces"]) == (1, 1, 1)
    (line,) = Path(done["quarantine"]).read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["photo"] == "Eileen/text.jpg"
    found = json.loads(vultus("identify", astronaut, "--gallery", into, "--json").out)
    assert found[0]["faces"][0]["name"].startswith("one.png ")
    again = vultus("index", folder, "--into", into, "--workers", 1)
    assert again.code == 0
    assert "1 photos cannot be used" in again.err.replace("\n", " ")
    other = vultus("index", folder, "--into", into, "--workers", 1, "--min-face-px", 80)
    assert other.code == 2
    assert "begun with detector retinaface, this run has retinaface min_face_px=80" in other.err


def test_folders_of_people_are_enrolled(vultus: Command, folder: Path, tmp_path: Path) -> None:
    into = tmp_path / "people.db"
    outcome = vultus(
        "index", folder, "--into", into, "--people", "folder", "--workers", 1, "--no-crops", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["quarantined"] == 2  # nobody on the coffee, and the text
    with SqliteGallery(into) as gallery:
        (person,) = gallery.people()
        assert (person.name, person.template_count) == ("Eileen", 1)
        assert gallery.templates(person.id)[0].crop is None


def test_faces_go_into_parquet(vultus: Command, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet is written by pyarrow: pip install 'vultus[batch]'")
    outcome = vultus("index", folder, "--into", tmp_path / "faces.parquet", "--workers", 1, "--json")
    assert outcome.code == 0, outcome.err
    assert [path.name for path in (tmp_path / "faces.parquet").iterdir()] == ["part-00000001.parquet"]
    assert (tmp_path / "faces.parquet.manifest").exists()


def test_what_is_not_on_this_machine_wants_a_manifest(vultus: Command, folder: Path) -> None:
    for into in ("postgresql://me@127.0.0.1:1/d", "s3://bucket/faces.parquet"):
        outcome = vultus("index", folder, "--into", into)
        assert outcome.code == 2
        assert "--manifest FILE" in outcome.err


def test_a_folder_that_is_not_there_is_exit_2(vultus: Command, tmp_path: Path) -> None:
    outcome = vultus("index", tmp_path / "nowhere", "--into", tmp_path / "people.db", "--workers", 1)
    assert outcome.code == 2
    assert "there is no" in outcome.err
    assert not (tmp_path / "people.db").exists()
