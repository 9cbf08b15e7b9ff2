"""Every command, argument and option explains itself, and every command shows an example."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from vultus.cli import app

ROOT = typer.main.get_command(app)


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Any: Typer's commands are Click's or, in newer releases, those of a Click of its own."""
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


COMMANDS = dict(walk(ROOT, ("vultus",)))
LEAVES = {path: command for path, command in COMMANDS.items() if not getattr(command, "commands", {})}
PARAMETERS = {
    f"{path} {parameter.name}": parameter
    for path, command in COMMANDS.items()
    for parameter in command.params
}


def test_the_promised_commands_are_there() -> None:
    promised = "detect align embed verify enrol identify people gallery weights doctor demo evaluate models"
    assert {f"vultus {name}" for name in promised.split()} <= set(COMMANDS)
    assert len(LEAVES) > 12
    assert len(PARAMETERS) > 40


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_says_what_it_does(path: str) -> None:
    assert (COMMANDS[path].help or "").strip()


@pytest.mark.parametrize("path", LEAVES)
def test_a_command_shows_how_it_is_used(path: str) -> None:
    assert f"Example: {path}" in (LEAVES[path].help or "")


@pytest.mark.parametrize("where", PARAMETERS)
def test_an_option_says_what_it_does(where: str) -> None:
    parameter = PARAMETERS[where]
    assert (getattr(parameter, "help", None) or "").strip(), f"{where} has no help"
