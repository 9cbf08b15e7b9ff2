"""Micro-batching: what several requests want of a network at the same moment is run as one batch.

    request threads:  submit(items) ---+
                      submit(items) ---+--> queue --> one worker: run(all items waiting) --> each its answers
                      submit(items) ---+

Nobody waits for a batch to fill: the worker takes what is there when it becomes free, so that an idle
service answers as fast as without batching, and a busy one runs larger batches. An answer does not depend
on the company: `Detector.detect_batch` and `Embedder.embed` promise that.

`BatchingDetector` and `BatchingEmbedder` are a `Detector` and an `Embedder`, so that everything above them
(`FaceRecognizer`) works as it does without a service.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vultus.errors import BusyError, DeadlineError
from vultus.interfaces import Detector, Embedder
from vultus.server.deadline import check_deadline, current_deadline
from vultus.types import Crops, Detections, Embeddings, FloatArray, Image, checked_image

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Ticket(Generic[Item, Result]):
    """What one request wants, and where its answer goes."""

    items: Sequence[Item]
    deadline: float
    answer: "Future[list[Result]]" = field(default_factory=Future)


class MicroBatcher(Generic[Item, Result]):
    """Collects the items of several threads into batches, and hands each thread its own answers.

    Args:
        run: answers a batch, one result per item, whatever else is in the batch.
        max_batch: so many items at once; the items of one request are never torn apart.
        name: of the worker's thread.
        observe: told the size of each batch.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        *,
        max_batch: int,
        name: str,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        self._run, self._max_batch, self._observe = run, max_batch, observe
        self._waiting: queue.SimpleQueue[_Ticket[Item, Result] | None] = queue.SimpleQueue()
        self._closing, self._is_closed = threading.Lock(), False  # nothing comes into the queue after its end
        self._held: _Ticket[Item, Result] | None = None  # it did not fit into the last batch
        self._worker = threading.Thread(target=self._work, name=f"vultus-{name}", daemon=True)
        self._worker.start()

    def submit(self, items: Sequence[Item]) -> list[Result]:
        """The answers to these items, in order; waits for them.

        Raises:
            DeadlineError: the request's deadline passed before its turn came.
            BusyError: the service is being shut down.
            VultusError: what `run` raises for this request's items.
        """
        if not items:
            return []
        check_deadline()
        ticket: _Ticket[Item, Result] = _Ticket(items, current_deadline())
        with self._closing:
            if self._is_closed:
                raise BusyError("the service is shutting down")
            self._waiting.put(ticket)
        return ticket.answer.result()

    def close(self) -> None:
        """Answer what was accepted, then end the worker; closing twice is no mistake."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._waiting.put(None)
        self._worker.join()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            in_time = [ticket for ticket in batch if _is_in_time(ticket)]
            if in_time and self._observe:
                self._observe(sum(len(ticket.items) for ticket in in_time))
            if in_time:
                self._answer(in_time)

    def _take(self) -> list[_Ticket[Item, Result]] | None:
        """The tickets that are waiting, up to the size of a batch; waits for the first; None at the end."""
        first = self._held or self._waiting.get()
        self._held = None
        if first is None:
            return None
        batch, size = [first], len(first.items)
        while size < self._max_batch:
            try:
                ticket = self._waiting.get_nowait()
            except queue.Empty:
                break
            if ticket is None:
                self._waiting.put(None)  # the end, once this batch is done
                break
            if size + len(ticket.items) > self._max_batch:
                self._held = ticket
                break
            batch.append(ticket)
            size += len(ticket.items)
        return batch

    def _answer(self, batch: list[_Ticket[Item, Result]]) -> None:
        """Run a batch. If it fails, each request is run alone: one must not spoil the others' answers."""
        items = [item for ticket in batch for item in ticket.items]
        try:
            results = list(self._run(items))
        except BaseException as error:  # noqa: BLE001 (it belongs to the threads that wait for it)
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for ticket in batch:
                self._answer([ticket])
            return
        start = 0
        for ticket in batch:
            ticket.answer.set_result(results[start : start + len(ticket.items)])
            start += len(ticket.items)


def _is_in_time(ticket: _Ticket[Item, Result]) -> bool:
    try:
        check_deadline(ticket.deadline)
    except DeadlineError as error:
        ticket.answer.set_exception(error)
        return False
    return True


class BatchingDetector:
    """A `Detector` that looks at the images of several requests at once.

    Args:
        detector: does the work, in one thread.
        max_batch: images at once.
        observe: told the size of each batch.

    Attributes:
        detector: as given.
    """

    def __init__(
        self, detector: Detector, *, max_batch: int, observe: Callable[[int], None] | None = None
    ) -> None:
        self.detector = detector
        self._batcher: MicroBatcher[Image, Detections] = MicroBatcher(
            detector.detect_batch, max_batch=max_batch, name="detector", observe=observe
        )

    def detect(self, image: Image) -> Detections:
        """The faces of one image, best score first."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        """The faces of each image."""
        return self._batcher.submit([checked_image(image) for image in images])

    def close(self) -> None:
        """Answer what was accepted, and end."""
        self._batcher.close()


class BatchingEmbedder:
    """An `Embedder` that embeds the crops of several requests at once.

    Args:
        embedder: does the work, in one thread.
        max_batch: crops at once.
        observe: told the size of each batch.

    Attributes:
        embedder: as given.
    """

    def __init__(
        self, embedder: Embedder, *, max_batch: int, observe: Callable[[int], None] | None = None
    ) -> None:
        self.embedder = embedder
        self._batcher: MicroBatcher[Image, FloatArray] = MicroBatcher(
            self._embed_all, max_batch=max_batch, name="embedder", observe=observe
        )

    @property
    def contract(self) -> str:
        """That of the embedder."""
        return self.embedder.contract

    @property
    def min_similarity(self) -> float | None:
        """That of the embedder."""
        return self.embedder.min_similarity

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        """(N,) whether each face can be cut out."""
        return self.embedder.alignable(faces)

    def align(self, image: Image, faces: Detections) -> Crops:
        """The (N, H, W, 3) crops; this is the request's own work."""
        return self.embedder.align(image, faces)

    def embed(self, crops: Crops) -> Embeddings:
        """(N, D) float32, each row of length 1."""
        if not len(crops):
            return self.embedder.embed(crops)
        check_deadline()
        return np.stack(self._batcher.submit(list(crops)))

    def close(self) -> None:
        """Answer what was accepted, and end."""
        self._batcher.close()

    def _embed_all(self, crops: list[Image]) -> list[FloatArray]:
        return list(self.embedder.embed(np.stack(crops)))
