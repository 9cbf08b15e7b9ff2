"""`--set name=value`: text to the fields of a recipe, whose annotations say what the text means."""

import math
import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vultus.errors import InputError
from vultus.training.knobs import kind_of, knobs
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
    names = [knob.name for knob in knobs(recipe)]
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, is_assigned, text = (part.strip() for part in assignment.partition("="))
        if not is_assigned:
            raise InputError(f"--set wants name=value, got {assignment!r}")
        if name not in names:
            close = get_close_matches(name, names, 3, 0.5) or sorted(names)
            raise InputError(f"{recipe.__name__} has no field {name!r}; there is {', '.join(close)}")
        try:
            values[name] = converted(text, hints[name])
        except ValueError as error:
            raise InputError(f"{name} must be {kind_of(hints[name])}, got {text!r}") from error
    return recipe(**values)


def converted(text: str, hint: Any) -> Any:
    """What the text means as a value of this type.

    Raises:
        ValueError: it means nothing.
    """
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if text.lower() in {"none", ""} and type(None) in choices:
            return None
        (hint,) = (choice for choice in choices if choice is not type(None))
        return converted(text, hint)
    if origin is Literal:
        return chosen(text, {str(choice): choice for choice in choices})
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()").split(",") if part.strip()]
        each = choices[:1] * len(parts) if choices[-1] is Ellipsis else choices
        return tuple(converted(part, choice) for part, choice in zip(parts, each, strict=True))
    if hint is bool:
        return chosen(text.lower(), WORDS)
    if hint is float and not math.isfinite(float(text)):
        raise InputError(f"{text} is not finite")
    return Path(text).expanduser() if hint is Path else hint(text)


def chosen(word: str, words: Mapping[str, Any]) -> Any:
    """What one of these words stands for.

    Raises:
        InputError: it is none of them.
    """
    if word not in words:
        raise InputError(f"{word!r} is none of {', '.join(words)}")
    return words[word]
