"""The REST service. Thin: everything it does is a call on the engine."""

from vultus.errors import MissingExtraError

try:
    from vultus.server.app import create_app
    from vultus.server.settings import Settings
except ImportError as error:
    if error.name not in {"fastapi", "starlette", "pydantic", "python_multipart", "prometheus_client"}:
        raise
    raise MissingExtraError(
        f"the service needs {error.name}, which is not installed: pip install 'vultus[serve]'"
    ) from error

__all__ = ["Settings", "create_app"]
