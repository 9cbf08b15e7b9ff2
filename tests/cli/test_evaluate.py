"""`vultus evaluate` on a few real images: the same figures in print, JSON and files, and nothing dropped."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vultus.cli import app
from vultus.errors import InputError

PAIRS = """2\t2
{0}\t1\t2
{1}\t1\t2
{0}\t1\t{1}\t1
{0}\t2\t{1}\t2
{2}\t1\t2
{3}\t1\t2
{2}\t1\t{3}\t1
{2}\t2\t{3}\t2
"""


@pytest.fixture(scope="module")
def small_set(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people of the development set with two images each, and eight pairs of them in two folds."""
    images = shared / "data" / "lfw-dev" / "images"
    people = [folder.name for folder in sorted(images.iterdir()) if len(list(folder.iterdir())) == 2][:4]
    assert len(people) == 4
    folder = tmp_path_factory.mktemp("lfw")
    for person in people:
        (folder / "images" / person).mkdir(parents=True)
        for path in (images / person).iterdir():
            number = sorted((images / person).iterdir()).index(path) + 1
            shutil.copyfile(path, folder / "images" / person / f"{person}_{number:04d}.jpg")
    (folder / "pairs.txt").write_text(PAIRS.format(*people), encoding="utf-8")
    return folder


def test_pairs_prints_what_the_report_holds(small_set: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "pairs", str(small_set / "pairs.txt"), "--images", str(small_set / "images")]
    done = CliRunner().invoke(app, [*arguments, "--json", "--report", str(tmp_path / "report")])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8")) == printed
    assert printed["details"]["accuracy"] == 1.0
    assert printed["details"]["n_images"] == 8
    assert printed["details"]["without_face"] == []
    assert printed["figures"]["pairs"] == "4 genuine, 4 impostor, none dropped"
    assert len(printed["details"]["verification"]["folds"]) == 2
    assert printed["setting"]["contract"]
    assert "No pair is dropped" in printed["protocol"]
    assert "vultus" in printed["provenance"]["command"]


def test_pairs_prints_a_table_for_people(small_set: Path) -> None:
    arguments = [
        "evaluate",
        "pairs",
        str(small_set / "pairs.txt"),
        "--images",
        str(small_set / "images"),
        "--flip",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    for text in ("accuracy", "100.00%", "EER", "contract", "retinaface"):
        assert text in done.stdout


def test_people_tells_the_rates_of_a_threshold(small_set: Path) -> None:
    arguments = [
        "evaluate",
        "people",
        str(small_set / "images"),
        "--min-similarity",
        "-1",
        "--fmr",
        "0.5",
        "--json",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    accept_all, half = json.loads(done.stdout)["details"]["rates"]
    assert (accept_all["fmr"], accept_all["fnmr"]) == (1.0, 0.0)
    assert (accept_all["n_impostors"], accept_all["n_genuine"]) == (24, 4)
    assert half["fmr"] == 0.5
    assert half["fnmr"] == 0.0


@pytest.mark.parametrize(("command", "rate"), [("pairs", "--far"), ("people", "--fmr")])
def test_an_impossible_rate_is_refused_before_any_image_is_read(
    command: str, rate: str, tmp_path: Path
) -> None:
    for name in ("Ann/Ann_0001.jpg", "Bo/Bo_0001.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()  # no image: reading it would be an ImageError
    (tmp_path / "pairs.txt").write_text("1\t1\nAnn\t1\t1\nAnn\t1\tBo\t1\n", encoding="utf-8")
    where = (
        [str(tmp_path / "pairs.txt"), "--images", str(tmp_path)] if command == "pairs" else [str(tmp_path)]
    )
    done = CliRunner().invoke(app, ["evaluate", command, *where, rate, "1e-6"])
    assert isinstance(done.exception, InputError)
    assert "1 impostor pairs cannot show a false match rate of 1e-06" in str(done.exception)


def test_a_missing_image_stops_the_measurement(small_set: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["evaluate", "pairs", str(small_set / "pairs.txt"), "--images", str(tmp_path)]
    )
    assert isinstance(done.exception, InputError)
    assert "8 of the 8 images" in str(done.exception)
