"""The web page in the service: its keys, its limits, its audit log. Neither room knows the other."""

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from vultus.access.keys import Scope
from vultus.errors import CredentialsError
from vultus.server.service import Service
from vultus.ui import Host, PageEvent, Visitor, mount_ui
from vultus.ui.serving import LOOPBACK_NAMES

PATH = "/ui"


def mount_page(app: FastAPI) -> None:
    """Put the page into the application of a service, before it starts.

    A key of the service opens the page with the same rights, asks no more often on both together than on one
    of them, and stands in the same audit log. Whoever is deleted here is forgotten in the decisions, too.

    Args:
        app: made by `vultus.server.create_app`.
    """
    service: Service = app.state.service

    def sign_in(text: str) -> Visitor | None:
        try:
            key = service.keys.authenticate(text)
        except CredentialsError:
            return None
        return Visitor(key.name, frozenset(str(scope) for scope in Scope if key.allows(scope)), key.id)

    def note(event: PageEvent) -> None:
        service.audit.note(
            request_id=event.request_id,
            key_id=event.key_id,
            action=f"page {event.action}",
            target=event.target,
            status=event.status,
        )

    mount_ui(
        app,
        service.recognizer,
        path=PATH,
        sign_in=sign_in if service.settings.require_key else None,
        host=Host(note=note, admit=service.rate.take, forget=service.decisions.forget),
    )
    if not service.settings.require_key:  # a site may point its name at this computer
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
