"""The table of routes: each line says path, function, and which scope of key it needs."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from vultus.server.routes import access, faces, gallery, health, people

ROUTES: Sequence[BaseRoute] = (
    *health.ROUTES,
    *faces.ROUTES,
    *people.ROUTES,
    *gallery.ROUTES,
    *access.ROUTES,
)

__all__ = ["ROUTES"]
