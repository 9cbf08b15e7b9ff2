"""What the application around the page keeps: a log of changes, a limit, and what it knows of a person."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LOG: Final = logging.getLogger("vultus.ui")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEvent:
    """A change of the gallery, done or refused; or anything else for which the visitor has no right.

    Attributes:
        request_id: as the application gave it to the request; "" where it gives none.
        key_id: of the visitor's key; "" without keys, or where the session was over.
        name: of the same key.
        action: what was to be done, such as "rename_person".
        target: id of the person; "" for somebody new.
        status: the HTTP status that the service gives to such an answer.
    """

    request_id: str
    key_id: str
    name: str
    action: str
    target: str
    status: int


def log(event: PageEvent) -> None:
    """Into this process's log; a service has one that is kept."""
    _LOG.info("%s by %s: %d", event.action, event.name or "nobody", event.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The application around the page. By default there is none, and everything passes.

    Attributes:
        note: told of every `PageEvent`, before the visitor has the answer.
        admit: asked with the id of the visitor's key whenever the page sends something; raises BusyError
            for one that asks too often.
        forget: told the id of a person who was deleted.
    """

    note: Callable[[PageEvent], None] = log
    admit: Callable[[str], None] = lambda key_id: None  # noqa: ARG005
    forget: Callable[[str], object] = lambda identity_id: None  # noqa: ARG005


ALONE: Final = Host()
