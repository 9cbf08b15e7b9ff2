"""The application: a table of routes behind the guard, around one engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from vultus import __version__
from vultus.errors import VultusError
from vultus.pipeline import FaceRecognizer
from vultus.server.envelope import refusal_of
from vultus.server.outermost import Outermost
from vultus.server.routes import ROUTES
from vultus.server.service import Service
from vultus.server.settings import Settings

DESCRIPTION = """
Detect, compare, enrol and identify faces. Boxes and landmarks are in pixels of the upright image; a
similarity is a cosine, larger is closer. Images are sent as files (multipart) or in base64 (JSON).
"""
EXPOSED = ["X-Request-Id", "Retry-After", "Idempotency-Replayed"]


def create_app(settings: Settings, engine: FaceRecognizer) -> FastAPI:
    """A service, ready to be run by any ASGI server.

    The engine stays the caller's: it is not closed. `app.state.service` holds the parts.

    Args:
        settings: of the service.
        engine: a recognizer with a gallery, its models loaded.

    Raises:
        InputError: the engine has no gallery, or doors or webhook are not usable.
        GalleryError: the service's file cannot be opened.
    """
    service = Service.open(settings, engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = settings.threads
        app.state.is_ready = True
        yield
        app.state.is_ready = False
        service.closing.close()

    app = FastAPI(
        title="Vultus",
        version=__version__,
        description=DESCRIPTION.strip(),
        routes=list(ROUTES),
        lifespan=lifespan,
        docs_url=None,  # the pages that show it load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.service, app.state.is_ready = service, False
    for kind in (VultusError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _refuse)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Idempotency-Key"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(Outermost, metrics=service.metrics, is_tls=settings.is_tls)
    _describe(app, settings)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    response = refusal_of(request, error)
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        path = request.url.path
        routes = [route for route in ROUTES if isinstance(route, APIRoute) and route.path_regex.match(path)]
        response.headers["Allow"] = ", ".join(
            sorted(method for route in routes for method in route.methods or ())
        )
    return response


def _describe(app: FastAPI, settings: Settings) -> None:
    """What OpenAPI cannot know from the routes: in which headers a key may come, and how many images."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        document.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for operation in (one for methods in document["paths"].values() for one in methods.values()):
            for content in operation.get("requestBody", {}).get("content", {}).values():
                images = content["schema"].get("properties", {}).get("images")
                if images is not None:
                    images["maxItems"] = settings.max_images
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to add to the document
