"""`--set`: text to values of every kind, and errors that say what was meant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from vultus.errors import InputError
from vultus.training.knobs import attributes, knobs
from vultus.training.overrides import overridden
from vultus.training.settings import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(TrainSettings):
    """A recipe with a knob of every kind.

    Attributes:
        labels: where the labels
            are.
        sizes_px: of the crops: in pixels.
        scales: lowest and highest.
        power: of something else.

    Raises:
        InputError: never.
    """

    labels: Path = Path("labels.txt")
    teacher: Path | None = Path("teacher.pth")
    sizes_px: tuple[int, ...] = (320,)
    scales: tuple[float, float] = (0.3, 1.0)
    level: Literal[1, 2] = 1
    is_mirrored: bool = True
    name: str = "small"
    power: float = 3.0


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("epochs=7", 7),
        ("lr=1e-3", 1e-3),
        ("lr=2", 2.0),
        (" lr = 0.5 ", 0.5),
        ("optimizer=adamw", "adamw"),
        ("level=2", 2),
        ("milestones=10,16", (10, 16)),
        ("milestones=(10, 16,)", (10, 16)),
        ("milestones=", ()),
        ("sizes_px=256", (256,)),
        ("scales=0.5,2", (0.5, 2.0)),
        ("clip_norm=none", None),
        ("clip_norm=5", 5.0),
        ("patience=None", None),
        ("teacher=none", None),
        ("teacher=a=b.pth", Path("a=b.pth")),
        ("labels=~/x.txt", Path("~/x.txt").expanduser()),
        ("is_mirrored=no", False),
        ("channels_last=True", True),
        ("name=large", "large"),
        ("name=none", "none"),
    ],
)
def test_text_becomes_a_value(assignment: str, value: Any) -> None:
    found = getattr(overridden(Recipe, [assignment]), assignment.partition("=")[0].strip())
    assert found == value
    assert type(found) is type(value)


def test_the_last_one_counts_and_the_rest_are_defaults() -> None:
    assert overridden(Recipe, ["lr=1", "seed=3", "lr=2"]) == Recipe(lr=2.0, seed=3)
    assert overridden(Recipe, []) == Recipe()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("lr", "--set wants name=value, got 'lr'"),
        ("lrr=1", "Recipe has no field 'lrr'; there is lr"),
        ("weightdecay=1", "there is weight_decay"),
        ("xyzzy=1", "there is accumulate, batch_size,"),
        ("epochs=1.5", "epochs must be a whole number, got '1.5'"),
        ("lr=fast", "lr must be a number, got 'fast'"),
        ("lr=inf", "lr must be a number, got 'inf'"),
        ("clip_norm=much", "clip_norm must be a number or none, got 'much'"),
        ("lr=none", "lr must be a number, got 'none'"),
        ("optimizer=lion", "optimizer must be one of sgd, adam, adamw, muon, got 'lion'"),
        ("level=3", "level must be one of 1, 2, got '3'"),
        ("is_mirrored=perhaps", "is_mirrored must be yes or no, got 'perhaps'"),
        ("sizes_px=1,x", "sizes_px must be whole numbers separated by commas, got '1,x'"),
        ("scales=1", "scales must be 2 numbers separated by commas, got '1'"),
        ("scales=1,2,3", "scales must be 2 numbers separated by commas"),
        ("lr=-1", "lr must be above 0, got -1.0"),
        ("milestones=3,2", r"milestones must grow, got \(3, 2\)"),
    ],
)
def test_what_makes_no_sense_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overridden(Recipe, [assignment])


def test_knobs_are_told_with_their_meaning() -> None:
    found = {knob.name: knob for knob in knobs(Recipe)}
    assert found["labels"].meaning == "where the labels are."
    assert found["sizes_px"].meaning == "of the crops: in pixels."
    assert found["scales"].kind == "2 numbers separated by commas"
    assert found["teacher"].kind == "a path or none"
    assert found["is_mirrored"].meaning == ""
    assert (found["lr"].default, found["power"].default) == (0.1, 3.0)
    assert found["lr"].meaning == "the highest learning rate."
    assert found["power"].meaning == "of something else.", "the recipe's own words go first"


def test_the_recipes_own_knobs_are_told_first() -> None:
    is_own = [knob.is_own for knob in knobs(Recipe)]
    assert is_own == sorted(is_own, reverse=True)
    assert sum(is_own) == 7


def test_every_shared_knob_has_a_meaning() -> None:
    assert [knob.name for knob in knobs(TrainSettings) if not knob.meaning] == []


def test_a_docstring_without_attributes_tells_nothing() -> None:
    assert attributes("") == attributes("Nothing.\n\n    Args:\n        x: y.\n") == {}
