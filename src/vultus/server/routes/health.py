"""`/healthz`, `/readyz`, `/metrics`: for those who run the service."""

from typing import Annotated, Any

from fastapi import Depends
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from vultus.access.keys import Scope
from vultus.errors import DeadlineError
from vultus.server.answers import ErrorOut, HealthOut
from vultus.server.guard import GuardedRoute, service_of
from vultus.server.service import Service


async def healthz() -> HealthOut:
    """The process lives."""
    return HealthOut(status="ok")


def readyz(request: Request, service: Annotated[Service, Depends(service_of)]) -> HealthOut:
    """Models are loaded and the gallery answers: requests may come."""
    if not request.app.state.is_ready:
        raise DeadlineError("the service is not ready, or is shutting down")
    service.gallery.template_count()
    return HealthOut(status="ok")


def metrics(service: Annotated[Service, Depends(service_of)]) -> Response:
    """Counts and times, for Prometheus."""
    return Response(service.metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})


_NOT_READY: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorOut, "description": "Not ready."} for status in (409, 503)
}
_TEXT = {
    200: {
        "description": "Prometheus' text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}

ROUTES = [
    APIRoute("/healthz", healthz, methods=["GET"], operation_id="healthz", tags=["operation"]),
    APIRoute(
        "/readyz", readyz, methods=["GET"], operation_id="readyz", tags=["operation"], responses=_NOT_READY
    ),
    GuardedRoute(
        "/metrics",
        metrics,
        method="GET",
        needs=Scope.READ,
        tags=["operation"],
        response_class=Response,
        responses=_TEXT,
    ),
]
