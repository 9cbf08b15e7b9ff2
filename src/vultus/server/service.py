"""What the routes of one service share, made before it is ready and closed after its last answer."""

import threading
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from typing import Self

from vultus.access.audit import AuditLog
from vultus.access.doors import DoorPlan, read_doors
from vultus.access.keys import ApiKeys
from vultus.access.log import DecisionLog
from vultus.access.store import Store
from vultus.access.webhook import Webhook
from vultus.errors import BusyError, InputError
from vultus.gallery import DurableGallery
from vultus.interfaces import Embedder
from vultus.pipeline import FaceRecognizer
from vultus.runtime import OnnxSession, OpenVinoSession
from vultus.server.metrics import Metrics
from vultus.server.micro_batch import BatchingDetector, BatchingEmbedder
from vultus.server.rate import RateLimit
from vultus.server.replay import Replays
from vultus.server.settings import Settings


class Admission:
    """How many requests there are at once, and that there are never more than a limit.

    Args:
        limit: of requests worked on or waiting.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._count, self._lock = limit, 0, threading.Lock()

    def enter(self) -> None:
        """Let a request in.

        Raises:
            BusyError: there are as many as there may be.
        """
        with self._lock:
            if self._count >= self._limit:
                raise BusyError("the service has as many requests as it takes; try again later")
            self._count += 1

    def leave(self) -> None:
        """Let it go."""
        with self._lock:
            self._count -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts.

    Attributes:
        settings: as given.
        store: the service's own file.
        recognizer: the engine, with micro-batching in front of its networks.
        keys: who may ask.
        rate: how often.
        admission: how many at once.
        replays: answers to writes that may be sent again.
        audit: what was written, by whom.
        decisions: who passed which door.
        doors: which doors there are.
        webhook: who is told of decisions, if anybody.
        metrics: counts and times.
        closing: closes all of it, in order.
    """

    settings: Settings
    store: Store
    recognizer: FaceRecognizer
    keys: ApiKeys
    rate: RateLimit
    admission: Admission
    replays: Replays
    audit: AuditLog
    decisions: DecisionLog
    doors: DoorPlan
    webhook: Webhook | None
    metrics: Metrics
    closing: ExitStack

    @classmethod
    def open(cls, settings: Settings, engine: FaceRecognizer) -> Self:
        """Put the parts together.

        Args:
            settings: of the service.
            engine: a recognizer with a gallery; its networks are run in batches from here on.

        Raises:
            InputError: the engine has no gallery, or the doors or the webhook are not usable.
            GalleryError: the service's file cannot be opened.
        """
        with ExitStack() as stack:
            metrics = Metrics()
            metrics.engine.labels(*runtime_and_provider(engine.embedder)).set(1)
            store = Store(settings.store)
            stack.callback(store.close)
            webhook = None
            doors = read_doors(settings.doors)
            if settings.webhook_url:
                webhook = Webhook(settings.webhook_url, settings.webhook_secret or "")
                stack.callback(webhook.close)
            return cls(
                settings=settings,
                store=store,
                recognizer=batching(engine, settings, metrics=metrics, stack=stack),
                keys=ApiKeys(store),
                rate=RateLimit(settings.requests_per_s, settings.burst),
                admission=Admission(settings.max_in_flight),
                replays=Replays(store, running_s=2 * settings.deadline_s),
                audit=AuditLog(store),
                decisions=DecisionLog(store),
                doors=doors,
                webhook=webhook,
                metrics=metrics,
                closing=stack.pop_all(),
            )

    @property
    def gallery(self) -> DurableGallery:
        """The enrolled people.

        Raises:
            InputError: the gallery cannot be inspected and changed as a service has to.
        """
        gallery = self.recognizer.gallery
        if not isinstance(gallery, DurableGallery):
            raise InputError(f"a {type(gallery).__name__} cannot be served: it is no DurableGallery")
        return gallery


def runtime_and_provider(embedder: Embedder) -> tuple[str, str]:
    """Which library runs an embedder, and on what, as its session says; "unknown" of one that is not ours."""
    session = getattr(embedder, "session", None)
    if isinstance(session, OnnxSession):
        return "onnx", max(session.node_counts, key=lambda name: session.node_counts[name])
    if isinstance(session, OpenVinoSession):
        return f"openvino-{session.precision}", "CPU"
    return "unknown", "unknown"


def batching(
    engine: FaceRecognizer, settings: Settings, *, metrics: Metrics, stack: ExitStack
) -> FaceRecognizer:
    """A recognizer with the same gallery and threshold, its networks behind queues that `stack` ends."""
    detector = BatchingDetector(
        engine.detector,
        max_batch=settings.max_batch,
        observe=metrics.batch.labels("detector").observe,
    )
    stack.callback(detector.close)
    embedder = BatchingEmbedder(
        engine.embedder,
        max_batch=settings.max_batch,
        observe=metrics.batch.labels("embedder").observe,
    )
    stack.callback(embedder.close)
    recognizer = copy(engine)
    recognizer.detector, recognizer.embedder = detector, embedder
    return recognizer
