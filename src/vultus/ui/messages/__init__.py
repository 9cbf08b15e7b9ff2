"""What the page says, in every language: one table of messages each, with the same keys.

Adding a language is one file beside these, and one line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vultus.ui.messages.chinese import CHINESE
from vultus.ui.messages.english import ENGLISH

__all__ = ["DEFAULT_LANGUAGE", "LANGUAGES", "Messages", "preferred_language"]

LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "zh": CHINESE}  # as in the address
DEFAULT_LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of one language.

    Example:
        >>> say = Messages("en")
        >>> say("detect_many", count=3)
        '3 faces found'

    Attributes:
        language: one of `LANGUAGES`.
    """

    language: str = DEFAULT_LANGUAGE

    def __call__(self, key: str, **values: Any) -> str:
        """The message of this key, with the values in their places."""
        return LANGUAGES[self.language][key].format(**values)


def preferred_language(accept_language: str) -> str:
    """The first of `LANGUAGES` in the header in which a browser names those of its user.

    Browsers write the best one first; weights out of that order are not looked at.
    """
    for part in accept_language.lower().split(","):
        language = part.strip().split(";")[0].split("-")[0]
        if language in LANGUAGES:
            return language
    return DEFAULT_LANGUAGE
