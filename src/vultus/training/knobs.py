"""What a recipe can be told: each field of its dataclass, with what the docstring says about it."""

import re
import types
from dataclasses import fields
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from vultus.training.settings import TrainSettings

KINDS: dict[Any, tuple[str, str]] = {  # one, several
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("yes or no", "yes or no"),
    Path: ("a path", "paths"),
    str: ("a word", "words"),
}
ATTRIBUTE = re.compile(r"    (\w+): (.+)")


class Knob(NamedTuple):
    """One field of a recipe.

    Attributes:
        name: of the field.
        kind: what it can be, in words.
        default: its value unless it is set.
        meaning: from the docstring of the class that declares it.
        is_own: whether the recipe declares it, and not only what all recipes share.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    is_own: bool


def knobs(recipe: type[TrainSettings]) -> tuple[Knob, ...]:
    """The recipe's own knobs, then those that all recipes share."""
    hints = get_type_hints(recipe)
    meanings: dict[str, str] = {}
    for parent in reversed(recipe.__mro__):
        meanings |= attributes(parent.__doc__ or "")
    shared = {field.name for field in fields(TrainSettings)}
    found = [
        Knob(
            field.name,
            kind_of(hints[field.name]),
            field.default,
            meanings.get(field.name, ""),
            field.name not in shared,
        )
        for field in fields(recipe)
    ]
    return tuple(sorted(found, key=lambda knob: not knob.is_own))


def attributes(docstring: str) -> dict[str, str]:
    """The section "Attributes:" of a docstring: each name with its text on one line."""
    told: dict[str, str] = {}
    _, _, section = cleandoc(docstring).partition("\nAttributes:\n")
    name = ""
    for line in section.splitlines():
        if line and not line.startswith("    "):
            break
        if match := ATTRIBUTE.fullmatch(line):
            name, told[match[1]] = match[1], match[2]
        elif line.strip():
            told[name] += f" {line.strip()}"
    return told


def kind_of(hint: Any, *, many: bool = False) -> str:
    """A type in words: "a whole number or none"."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [kind_of(choice) for choice in choices if choice is not type(None)]
        return " or ".join([*inner, *["none"] * (type(None) in choices)])
    if origin is Literal:
        return f"one of {', '.join(map(str, choices))}"
    if origin is tuple and choices[-1] is Ellipsis:
        return f"{kind_of(choices[0], many=True)} separated by commas"
    if origin is tuple:
        return f"{len(choices)} {kind_of(choices[0], many=True)} separated by commas"
    return KINDS[hint][many]
