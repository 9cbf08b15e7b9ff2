"""`--set name=value`: text to the fields of a recipe, whose annotations say what the text means."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vultus.errors import InputError
from vultus.training.settings import TrainSettings

R = TypeVar("R", bound=TrainSettings)
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def overridden(recipe: type[R], assignments: Iterable[str]) -> R:
    """A recipe with some fields changed.

    Args:
        recipe: its class.
        assignments: such as "lr=0.1", "milestones=10,16", "teacher=none"; the last one of a name counts.

    Raises:
        InputError: no such field, not an assignment, or a value of another kind.
    """
    hints = get_type_hints(recipe)
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, is_assigned, text = assignment.partition("=")
        name = name.strip()
        if not is_assigned:
            raise InputError(f"--set wants name=value, got {assignment!r}")
        if name not in knobs(recipe):
            close = get_close_matches(name, knobs(recipe), 3, 0.5) or sorted(knobs(recipe))
            raise InputError(f"{recipe.__name__} has no field {name!r}; there is {', '.join(close)}")
        try:
            values[name] = converted(text.strip(), hints[name])
        except ValueError as error:
            raise InputError(f"{name} must be {_told(hints[name])}, got {text!r}") from error
    return recipe(**values)


def knobs(recipe: type[TrainSettings]) -> Mapping[str, Any]:
    """Each field with its default."""
    return {field.name: field.default for field in fields(recipe)}


def converted(text: str, hint: Any) -> Any:
    """What the text means as a value of this type.

    Raises:
        ValueError: it means nothing.
    """
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if text.lower() in {"none", ""} and type(None) in choices:
            return None
        (inner,) = (choice for choice in choices if choice is not type(None))
        return converted(text, inner)
    if origin is Literal:
        if text not in choices:
            raise ValueError(text)
        return text
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()").split(",") if part.strip()]
        if choices[-1] is not Ellipsis and len(parts) != len(choices):
            raise ValueError(text)
        return tuple(converted(part, choices[0]) for part in parts)
    if hint is bool:
        if text.lower() not in WORDS:
            raise ValueError(text)
        return WORDS[text.lower()]
    return Path(text).expanduser() if hint is Path else hint(text)


def _told(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    return str(getattr(hint, "__name__", hint)).replace("pathlib.", "")
