"""What Prometheus may know: counts and times, no names, no images."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

TIMES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The figures of one service; with several worker processes, `page` shows the sum of all."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "vultus_requests", "Answers.", ("method", "route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "vultus_request_seconds",
            "From head to answer.",
            ("route",),
            buckets=TIMES_S,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "vultus_requests_in_flight",
            "Requests worked on or waiting.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self.batch = Histogram(
            "vultus_batch_size",
            "Images or faces run together.",
            ("stage",),
            buckets=SIZES,
            registry=self._registry,
        )
        self.decisions = Counter(
            "vultus_decisions", "Decisions at doors.", ("door", "outcome"), registry=self._registry
        )

        self.engine = Gauge(
            "vultus_engine",
            "Which library runs the embedder, and on what: always 1.",
            ("runtime", "provider"),
            registry=self._registry,
            multiprocess_mode="max",
        )

    def page(self) -> bytes:
        """All figures in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]  # registers itself
        return generate_latest(everybody)
