"""Who looks at the page, and what they may do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from vultus.errors import ScopeError

Scope: TypeAlias = Literal["read", "enrol", "admin"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who signed in.

    Attributes:
        name: of the key; never the key itself.
        scopes: what they may do: "read" (detect, compare, recognise, look at people), "enrol" (add and rename
            people), "admin" (delete people).
        key_id: of the key, as the service lists it; "" where keys have none.
    """

    name: str
    scopes: frozenset[str]
    key_id: str = ""

    def require(self, scope: Scope) -> None:
        """Refuse what the visitor may not do.

        Raises:
            ScopeError: the right is missing.
        """
        if scope not in self.scopes:
            raise ScopeError(
                f"this needs a key of scope '{scope}', yours has: {', '.join(sorted(self.scopes))}"
            )


SignIn: TypeAlias = Callable[[str], Visitor | None]
"""Whose key this is, or None if it is nobody's (any more). Asked on every request: a revoked key is out."""

EVERYTHING: Final = Visitor("anybody", frozenset({"read", "enrol", "admin"}))
NOBODY: Final = Visitor("", frozenset())
