"""What is taken where nothing is said exists, and is the same on the command line as in the library."""

import inspect

import pytest
import typer

from vultus.cli import app
from vultus.defaults import (
    ACCURATE_EMBEDDER,
    DEFAULT_DETECTOR,
    DEFAULT_EMBEDDER,
    MAX_TURN,
    MIN_FACE_PX,
    MIN_SHARPNESS,
)
from vultus.detect import DEFAULT_WEIGHTS, DETECTORS, load_detector
from vultus.embed import embedder_names, load_embedder
from vultus.training.recipes.distil import DistilRecipe
from vultus.weights.catalog import entry


def defaults_of_options(name: str) -> dict[str, object]:
    """The default of this option in every command that has it."""
    found: dict[str, object] = {}
    groups = [typer.main.get_command(app)]
    for group in groups:
        for command in getattr(group, "commands", {}).values():
            groups.append(command)
            found |= {
                f"{group.name} {command.name}": one.default for one in command.params if name in one.opts
            }
    return found


def test_the_default_detector_is_one_that_brings_its_weights() -> None:
    assert DEFAULT_DETECTOR in DETECTORS
    assert DEFAULT_DETECTOR in DEFAULT_WEIGHTS
    assert type(load_detector()) is DETECTORS[DEFAULT_DETECTOR]


def test_the_weights_that_are_listed_are_those_that_each_detector_loads() -> None:
    loaded = {
        name: inspect.signature(known.load).parameters["weights"].default for name, known in DETECTORS.items()
    }
    assert {name: weights for name, weights in loaded.items() if weights is not None} == DEFAULT_WEIGHTS


def test_the_default_embedder_is_in_the_catalogue() -> None:
    assert DEFAULT_EMBEDDER in embedder_names()
    assert load_embedder().weights.name == DEFAULT_EMBEDDER


def test_the_accurate_embedder_teaches_others_and_cleans_sets() -> None:
    assert entry("accurate").name == ACCURATE_EMBEDDER
    assert ACCURATE_EMBEDDER in embedder_names()
    assert DistilRecipe.__dataclass_fields__["teacher"].default == ACCURATE_EMBEDDER


def test_every_command_takes_the_default_detector() -> None:
    defaults = defaults_of_options("--detector")
    assert len(defaults) > 10
    others = {command for command, default in defaults.items() if default != DEFAULT_DETECTOR}
    assert others == {"evaluate ijb"}  # where the set says where the faces are


@pytest.mark.parametrize(
    ("option", "default", "commands"),
    [
        ("--min-face-px", MIN_FACE_PX, {"vultus enrol", "data align"}),
        ("--min-sharpness", MIN_SHARPNESS, {"vultus enrol", "data align"}),
        ("--max-turn", MAX_TURN, {"data align"}),
    ],
)
def test_the_command_line_trusts_the_faces_that_the_library_trusts(
    option: str, default: float, commands: set[str]
) -> None:
    found = defaults_of_options(option)
    assert commands <= set(found)
    assert {found[command] for command in commands} == {default}
