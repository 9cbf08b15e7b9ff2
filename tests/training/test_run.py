"""A run's folder: what is written down, and which run may go on in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vultus.errors import InputError, TrainingError
from vultus.training.run import Run, append_row, describe, forget_after, open_run
from vultus.training.settings import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(TrainSettings):
    """With a path, and a knob of its own."""

    labels: Path = Path("labels.txt")
    teacher: Path | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRecipe(Recipe):
    """The same knobs, another recipe."""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    file = tmp_path / "labels.txt"
    file.write_text("a face")
    return file


def opened(folder: Path, labels: Path, **knobs: Any) -> Run:
    recipe = Recipe(labels=labels, **knobs)
    named = {"labels": recipe.labels, "teacher": recipe.teacher}
    return open_run(folder, recipe, data={name: path for name, path in named.items() if path})


def told(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "recipe.json").read_text())
    return found


def test_the_resolved_recipe_the_commit_and_the_hashes_are_kept(tmp_path: Path, labels: Path) -> None:
    recipe = told(opened(tmp_path / "a" / "run", labels, lr=0.25, milestones=(3, 5)))
    assert recipe["recipe"] == "Recipe"
    assert recipe["settings"]["lr"] == 0.25
    assert recipe["settings"]["milestones"] == [3, 5]
    assert recipe["settings"]["momentum"] == 0.9, "defaults too"
    assert recipe["settings"]["labels"] == str(labels)
    assert recipe["data"]["labels"]["sha256"] == describe(labels)["sha256"]
    assert recipe["versions"]["torch"]
    assert set(recipe) >= {"commit", "started"}


def test_the_same_run_goes_on(tmp_path: Path, labels: Path) -> None:
    first = told(opened(tmp_path / "run", labels, milestones=(3, 5)))
    assert told(opened(tmp_path / "run", labels, milestones=(3, 5))) == first


def test_what_changes_no_number_may_change(tmp_path: Path, labels: Path) -> None:
    opened(tmp_path / "run", labels)
    opened(tmp_path / "run", labels, workers=3, threads=2, devices=4, log_every=7, checkpoint_minutes=1.0)


def test_a_run_that_is_older_than_a_knob_goes_on_with_its_default(tmp_path: Path, labels: Path) -> None:
    run = opened(tmp_path / "run", labels)
    recipe = told(run)
    for knob in ("weight", "milestones", "teacher"):
        del recipe["settings"][knob]
    (run.folder / "recipe.json").write_text(json.dumps(recipe))
    opened(run.folder, labels)
    assert told(run) == recipe
    with pytest.raises(TrainingError, match=r"weight was 1\.0, is 2\.0"):
        opened(run.folder, labels, weight=2.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lr": 0.2}, "lr was 0.1, is 0.2"),
        ({"weight": 2.0}, "weight was 1.0, is 2.0"),
        ({"epochs": 11, "seed": 1}, "epochs was 10, is 11; seed was 0, is 1"),
    ],
)
def test_another_recipe_is_refused(knobs: dict[str, Any], message: str, tmp_path: Path, labels: Path) -> None:
    opened(tmp_path / "run", labels)
    with pytest.raises(TrainingError, match=f"holds another run.*: {message}. Name another folder"):
        opened(tmp_path / "run", labels, **knobs)


def test_a_recipe_of_another_name_is_refused(tmp_path: Path, labels: Path) -> None:
    opened(tmp_path / "run", labels)
    with pytest.raises(TrainingError, match="the recipe was Recipe, is OtherRecipe"):
        open_run(tmp_path / "run", OtherRecipe(labels=labels), data={"labels": labels})


def test_changed_data_is_refused(tmp_path: Path, labels: Path) -> None:
    opened(tmp_path / "run", labels)
    labels.write_text("another face")
    with pytest.raises(TrainingError, match="the data 'labels' changed"):
        opened(tmp_path / "run", labels)


def test_added_data_is_refused(tmp_path: Path, labels: Path) -> None:
    opened(tmp_path / "run", labels)
    with pytest.raises(TrainingError, match="the data 'teacher' changed"):
        opened(tmp_path / "run", labels, teacher=labels)


def test_data_may_move(tmp_path: Path, labels: Path) -> None:
    opened(tmp_path / "run", labels)
    opened(tmp_path / "run", labels.rename(tmp_path / "moved.txt"))


def test_data_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no data at"):
        opened(tmp_path / "run", tmp_path / "nothing.txt")


def test_a_folder_is_known_by_its_names_and_sizes(tmp_path: Path) -> None:
    for name in ("a/1.txt", "b/1.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    assert describe(tmp_path / "a")["sha256"] == describe(tmp_path / "b")["sha256"]
    assert describe(tmp_path / "a")["files"] == 1
    (tmp_path / "b" / "1.txt").write_text("xy")
    assert describe(tmp_path / "a")["sha256"] != describe(tmp_path / "b")["sha256"]


def test_rows_beyond_a_step_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    for step in range(1, 6):
        append_row(file, {"step": step, "loss": step / 2, "note": "a, b"})
    forget_after(file, 3, column="step")
    lines = file.read_bytes().split(b"\r\n")
    assert lines == [b"step,loss,note", b'1,0.5,"a, b"', b'2,1.0,"a, b"', b'3,1.5,"a, b"', b""]
    append_row(file, {"step": 4, "loss": 0.25, "note": ""})
    assert file.read_text().splitlines()[-1] == "4,0.25,"


def test_a_row_that_was_cut_off_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(b"step,loss\r\n10,0.5\r\n1")
    forget_after(file, 99, column="step")
    assert file.read_bytes() == b"step,loss\r\n10,0.5\r\n"


def test_of_a_new_run_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    forget_after(file, 0, column="step")
    append_row(file, {"step": 1})
    forget_after(file, 0, column="step")
    assert not file.exists()
