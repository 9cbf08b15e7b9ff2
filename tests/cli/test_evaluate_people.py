"""`vultus evaluate identify`, `classify`, `robustness`, `slices`, `report` on a few real people."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vultus.cli import app
from vultus.errors import InputError, VultusError

PEOPLE = 4


@pytest.fixture(scope="module")
def people(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people of the development set with two images each."""
    images = shared / "data" / "lfw-dev" / "images"
    chosen = [folder for folder in sorted(images.iterdir()) if len(list(folder.iterdir())) == 2][:PEOPLE]
    assert len(chosen) == PEOPLE
    folder = tmp_path_factory.mktemp("people")
    for person in chosen:
        shutil.copytree(person, folder / person.name)
    return folder


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["evaluate", *(str(one) for one in arguments)])
    if isinstance(done.exception, VultusError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def run_json(*arguments: object) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(*arguments, "--json", "--threads", "1"))
    return told


def test_everybody_is_found_among_everybody(people: Path, tmp_path: Path) -> None:
    told = run_json("identify", people, "--unenrolled", 0, "--gallery-size", 2, "--gallery-size", 4,
                    "--report", tmp_path)  # fmt: skip
    small, large = told["details"]["galleries"]
    assert (small["gallery_size"], large["gallery_size"]) == (2, 4)
    assert small["cmc"][0] | {"interval": None} == {
        "rank": 1, "rate": 1.0, "interval": None, "n_found": 2, "n_probes": 2,
    }  # fmt: skip
    assert large["cmc"][0]["rate"] == 1.0
    assert told["figures"]["2 people: FNIR@FPIR"].startswith("not measured")
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"report.json", "report.md", "cmc.png", "embeddings.png"}  # no strangers, no open set
    assert "(cmc.png)" in (tmp_path / "report.md").read_text("utf-8")


def test_strangers_are_a_share_of_the_people(people: Path) -> None:
    told = run_json("identify", people, "--unenrolled", 0.5)
    assert told["details"]["split"]["people"] == 2
    assert told["details"]["split"]["strangers_images"] == 4


def test_an_open_set_rate_that_the_strangers_cannot_show_is_refused(people: Path) -> None:
    with pytest.raises(InputError, match="4 probes of people who are not enrolled cannot show"):
        run("identify", people, "--fpir", 0.01, "--threads", 1)


def test_a_closed_set_is_called_no_verification(people: Path, tmp_path: Path) -> None:
    told = run_json("classify", people, "--report", tmp_path)
    assert "This is not verification" in told["protocol"]
    assert told["details"]["accuracy"] == told["details"]["macro"]["f1"] == 1.0
    assert [row["name"] for row in told["details"]["people"]] == sorted(one.name for one in people.iterdir())
    assert told["details"]["confusion"][1] == [0, 1, 0, 0, 0]
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_worse_probes_are_measured_at_the_threshold_of_good_ones(people: Path, tmp_path: Path) -> None:
    told = run_json("robustness", people, "--only", "dark-glasses", "--far", 0.9, "--report", tmp_path)
    good, *worse = told["details"]["slices"]
    assert (good["name"], good["tar"], good["n_probes"]) == ("as they are", 1.0, 4)
    assert [one["strength"] for one in worse] == [0.4, 0.8]
    assert {one["threshold"] for one in worse} == {good["threshold"]}
    assert "dark-glasses, 0.4 eye distances" in told["figures"]
    assert (tmp_path / "examples.png").exists()
    with pytest.raises(InputError, match="--only must be one of mask"):
        run("robustness", people, "--only", "rain")


def test_groups_come_from_the_metadata(people: Path, tmp_path: Path) -> None:
    rows = [
        f"{path.relative_to(people).as_posix()},{'xy'[i % 2]},{20 + 10 * i + 3 * j}"
        for i, person in enumerate(sorted(people.iterdir()))
        for j, path in enumerate(sorted(person.iterdir()))
    ]
    table = tmp_path / "people.csv"
    table.write_text("image,group,age\n" + "\n".join(rows) + "\n", encoding="utf-8")
    told = run_json("slices", people, "--metadata", table, "--by", "group", "--fmr", 0.5)
    groups = told["details"]["groups"]
    assert [(one["name"], one["n_people"], one["n_genuine"], one["n_impostors"]) for one in groups] == [
        ("x", 2, 2, 4),
        ("y", 2, 2, 4),
    ]
    assert all("2 people, fewer than 20" in one["warnings"] for one in groups)
    gaps = run_json("slices", people, "--metadata", table, "--by", "age", "--gap", "--edge", 5,
                    "--min-similarity", 0.363, "--report", tmp_path / "report")  # fmt: skip
    near, far = gaps["details"]["groups"]
    assert (near["name"], near["n_genuine"], near["fnmr"], near["n_impostors"]) == (
        "below 5 apart",
        4,
        0.0,
        0,
    )
    assert (far["n_genuine"], far["n_impostors"]) == (0, 24)
    assert gaps["details"]["threshold"] == 0.363
    assert (tmp_path / "report" / "groups.png").exists()
    for wrong in (["--by", "group"], ["--by", "age", "--metadata", table, "--gap"]):
        with pytest.raises(InputError):
            run("slices", people, *wrong)


def test_the_turn_of_the_head_needs_no_metadata(people: Path) -> None:
    told = run_json("slices", people, "--fmr", 0.5)
    groups = told["details"]["groups"]
    assert sum(one["n_genuine"] + one["n_impostors"] for one in groups) == 8 * 7 // 2
    assert [one["name"] for one in groups] == ["below 0.15", "0.15 to 0.3", "0.3 to 0.5", "from 0.5"]


def test_several_reports_become_one_page(people: Path, tmp_path: Path) -> None:
    for name, more in (("plain", []), ("flip", ["--flip"])):
        run("classify", people, *more, "--report", tmp_path / name, "--threads", 1)
    run("report", tmp_path / "plain", tmp_path / "flip", "--out", tmp_path / "page", "--title", "Two")
    page = (tmp_path / "page" / "index.md").read_text("utf-8")
    assert page.startswith("# Two\n")
    assert "side by side" in page
    assert (tmp_path / "page" / "index.html").read_text("utf-8").count("data:image/png") == 2
