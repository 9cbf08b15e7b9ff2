"""A typed client of the REST service: the values of the library, from another machine."""

from vultus.errors import MissingExtraError

try:
    from vultus.client.service import VultusClient
except ImportError as error:
    if error.name != "httpx":
        raise
    raise MissingExtraError(
        "the client needs httpx, which is not installed: pip install 'vultus[client]'"
    ) from error

__all__ = ["VultusClient"]
