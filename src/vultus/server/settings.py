"""What a service may be told. The defaults are safe: keys are needed, this machine only, all is bounded."""

import os
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from vultus.access.webhook import is_loopback
from vultus.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a service. Everything from outside is bounded by one of these.

    Attributes:
        store: the service's own file: keys, decisions, audit log. See `vultus.access.store_path`.
        require_key: without it anybody who reaches the port may do everything.
        host: on which address it listens; only a loopback address may go without keys.
        max_body_bytes: of one request, before anything in it is looked at.
        max_import_bytes: of an uploaded archive.
        max_images: in one request.
        max_pixels: of one image, before it is decoded.
        max_request_pixels: of all images of one request together.
        max_examined: templates that the doctor and the calibration compare, each with each.
        threads: requests that are worked on at once.
        max_waiting: requests that may wait for a thread; one more is answered 429.
        max_batch: images (or faces) that a network looks at together; 1 switches micro-batching off.
        deadline_s: what takes longer is answered 503.
        body_timeout_s: within which a request's body must have arrived.
        header_timeout_s: within which a request's head must have arrived.
        requests_per_s: of one key, on average; None for no limit. Of each worker process.
        burst: how many requests a key may make at once before the average counts.
        cors_origins: web pages elsewhere that may call the service, such as "https://intranet.example".
        doors: a TOML file, see `vultus.access.doors`.
        webhook_url: is told every decision.
        webhook_secret: signs what it is told.
        is_tls: whether the service speaks TLS: answers then say that browsers should insist on it.
    """

    store: Path
    require_key: bool = True
    host: str = "127.0.0.1"
    max_body_bytes: int = 16 * 2**20
    max_import_bytes: int = 2**30
    max_images: int = 16
    max_pixels: int = 25_000_000
    max_request_pixels: int = 50_000_000
    max_examined: int = 20_000
    threads: int = 16
    max_waiting: int = 112
    max_batch: int = 16
    deadline_s: float = 30.0
    body_timeout_s: float = 30.0
    header_timeout_s: float = 10.0
    requests_per_s: float | None = 50.0
    burst: int = 200
    cors_origins: tuple[str, ...] = ()
    doors: Path | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
    is_tls: bool = False

    def __post_init__(self) -> None:
        if not self.require_key and not is_loopback(self.host):
            raise InputError(
                f"without keys the service listens on this machine only (127.0.0.1), not on {self.host}: "
                "make a key with `vultus keys create`, or put it behind something that asks who is there"
            )
        for name in ("max_body_bytes", "max_images", "max_pixels", "threads", "max_batch", "burst"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for origin in self.cors_origins:
            if not origin.startswith(("http://", "https://")) or "*" in origin or origin.endswith("/"):
                raise InputError(
                    f"a CORS origin reads like https://intranet.example, without '*' and path; got {origin!r}"
                )
        if self.webhook_url and not self.webhook_secret:
            raise InputError("a webhook needs a secret: set VULTUS_WEBHOOK_SECRET")

    @property
    def grace_s(self) -> int:
        """Within which everything that was accepted is answered: so long a shutdown may take.

        Whatever stops the service (`deploy/`) waits a little longer before it kills.
        """
        return ceil(self.body_timeout_s + self.deadline_s) + 1

    @property
    def max_in_flight(self) -> int:
        """How many requests there may be at once, worked on or waiting."""
        return self.threads + self.max_waiting


def secret_from_environment() -> str | None:
    """The webhook's secret: from the environment, so that it is not seen in the list of processes."""
    return os.environ.get("VULTUS_WEBHOOK_SECRET")
