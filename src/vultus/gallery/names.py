"""What a name and metadata may be.

A display name is kept as given, in Unicode's NFC form and without blanks around it. Markup and SQL in it
are only text. Two people must not have names that a reader cannot tell apart: names are compared by
`name_key`, which is blind to case, to width and to invisible characters.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from vultus.errors import InputError

MAX_NAME = 200  # characters
MAX_METADATA = 65_536  # characters of JSON
_JOINERS = "\u200c\u200d"  # belong to the spelling of names in Persian and in Indic scripts
_ID = re.compile(r"[0-9a-f]{32}")


def checked_name(name: str) -> str:
    """The name in its stored form.

    Raises:
        InputError: no text, blank, over 200 characters, with a control or invisible character, or of the
            form of an identity's id.
    """
    if not isinstance(name, str):
        raise InputError(f"a name must be text, got {type(name).__name__}")
    clean = unicodedata.normalize("NFC", name).strip()
    if not clean.strip(_JOINERS):
        raise InputError("a name must have at least one visible character")
    if len(clean) > MAX_NAME:
        raise InputError(f"a name may have {MAX_NAME} characters, got {len(clean)}")
    for character in clean:
        kind = unicodedata.category(character)
        if kind in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character not in _JOINERS:
            raise InputError(f"a name may not contain the control character U+{ord(character):04X}")
    if is_id(clean):
        raise InputError(
            "a name may not look like an id (32 hexadecimal digits): nobody could tell them apart"
        )
    return clean


def is_id(text: object) -> bool:
    """Whether this has the form of an identity's id, which no name has."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def name_key(name: str) -> str:
    """What two names that look alike have in common. It is compared, never shown."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(character for character in folded if character not in _JOINERS)
    return " ".join(visible.split())


def checked_metadata(metadata: Mapping[str, Any]) -> str:
    """The metadata as JSON, keys in order.

    Raises:
        InputError: not a mapping of text to JSON values, or over 65,536 characters.
    """
    if not isinstance(metadata, Mapping):
        raise InputError(f"metadata must be a mapping, got {type(metadata).__name__}")
    try:
        value = dict(metadata)
        _check_keys(value)
        text = json.dumps(value, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"metadata must be JSON (text, numbers, true, false, null, lists, mappings): {error}"
        ) from error
    if len(text) > MAX_METADATA:
        raise InputError(f"metadata may have {MAX_METADATA} characters as JSON, got {len(text)}")
    return text


def _check_keys(value: object) -> None:
    """Refuse keys that are no text: json would silently write 1 as "1", and None as "null"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)
