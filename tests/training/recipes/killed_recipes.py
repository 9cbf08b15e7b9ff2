"""Recipes that are killed and go on, for test_recognisers.py.

    python killed_recipes.py FOLDER

Reads FOLDER/cases.json: for each name a recipe, its knobs, and the batch at which it dies. Each case is
trained in FOLDER/NAME-whole without a break, and in FOLDER/NAME-killed until it dies by SIGKILL, and then to
its end. Every attempt is a process of its own, forked from this one, which has imported everything but
computed nothing.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401  # once, before forking
from torch.nn.modules.module import register_module_forward_pre_hook

from vultus.cli.train import RECIPES, load_recipe
from vultus.training.overrides import overridden


def die_at(batch: int) -> None:
    """Kill this process when a learner is given this batch, from 0."""
    seen = 0

    def count(module: Any, _inputs: Any) -> None:
        nonlocal seen
        if type(module).__name__.endswith("Learner"):
            if seen == batch:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    register_module_forward_pre_hook(count)


def attempt(case: Mapping[str, Any], folder: Path, *, dies_at: int | None) -> None:
    """One process that trains, to the end or to its death; the expected one, or this process ends, too."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        ended = os.waitstatus_to_exitcode(status)
        if ended != (0 if dies_at is None else -signal.SIGKILL):
            sys.exit(f"{folder.name}: ended with {ended}")
        return
    try:
        if dies_at is not None:
            die_at(dies_at)
        module, recipe = load_recipe(case["recipe"])
        module.train(overridden(recipe, case["knobs"]), folder)
    finally:
        is_well = sys.exc_info()[0] is None
        if not is_well:
            traceback.print_exc()
        os._exit(0 if is_well else 1)


def main(folder: Path) -> None:
    """All cases."""
    cases = json.loads((folder / "cases.json").read_text())
    for recipe in RECIPES:
        load_recipe(recipe)
    for name, case in cases.items():
        attempt(case, folder / f"{name}-whole", dies_at=None)
        attempt(case, folder / f"{name}-killed", dies_at=case["dies_at"])
        attempt(case, folder / f"{name}-killed", dies_at=None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
