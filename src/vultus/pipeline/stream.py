"""Many photos at full speed: several at once, answers in the order of the photos, memory bounded.

Photos go in small batches to as many threads as there are cores; each thread takes its batch all the way,
from the file to the answer. So while one batch is decoded another is in a network, and no core waits for a
slower stage. Within a batch the faces of all photos are embedded together.

What waits in line are the *sources* and the answers, never decoded photos: at most `workers` x `batch` photos
are in memory, however many there are. Sources are read as answers are taken: an endless one is no harm.

A file that cannot be read is an answer of its own, an `Outcome` with the error, and does not end the others.
Anything else that goes wrong (a device that fails) ends the stream where it happened.

Every photo's answer is the one that it would get alone. Networks that keep to one thread inside a call
(`threads=1`) are the fastest here: the cores are shared out already.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeAlias, TypeVar

from vultus.errors import ImageError, InputError
from vultus.image import DEFAULT_MAX_PIXELS, ImageSource, load_image
from vultus.interfaces import Detector, Embedder
from vultus.pipeline.recognise import FaceEmbeddings, embed_faces
from vultus.runtime.device import usable_cores
from vultus.types import Image

T = TypeVar("T")
Work: TypeAlias = Callable[[Sequence[Image]], Sequence[T]]

DEFAULT_BATCH: Final = 4  # photos that a thread takes at once
BATCHES_AHEAD: Final = (
    2  # per worker: begun or in line, so that no worker waits for the one who reads answers
)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one photo.

    Attributes:
        source: the photo, as it was given.
        answer: what was asked for; None where it failed.
        error: why it failed; None where it did not.
    """

    source: ImageSource
    answer: T | None = None
    error: ImageError | None = None

    def result(self) -> T:
        """The answer.

        Raises:
            ImageError: the photo could not be read.
        """
        if self.error is not None:
            raise self.error
        return self.answer  # type: ignore[return-value]  # without an error there is one


def embedded(images: Sequence[Image], *, detector: Detector, embedder: Embedder) -> list[FaceEmbeddings]:
    """The faces of several images with their unit vectors: the work that `stream` does."""
    return embed_faces(images, detector.detect_batch(images), embedder=embedder)


def stream(
    sources: Iterable[ImageSource],
    work: Work[T],
    *,
    workers: int | None = None,
    batch: int = DEFAULT_BATCH,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Iterator[Outcome[T]]:
    """What `work` makes of each photo, in their order, several at once.

    Args:
        sources: photos as `vultus.load_image` takes them; read as answers are taken.
        work: one answer per image, of up to `batch` images; called from several threads at once.
        workers: threads; None takes one per core.
        batch: how many photos a thread takes at once. With 1, answers come soonest.
        max_pixels: a file of more pixels is refused.

    Raises:
        InputError: `workers` or `batch` is less than 1.
    """
    task = partial(_outcomes, work=work, max_pixels=max_pixels)
    return _in_order(_batches(sources, _checked(batch, "batch")), task, _checked(workers, "workers"))


def stream_async(
    sources: Iterable[ImageSource] | AsyncIterable[ImageSource],
    work: Work[T],
    *,
    workers: int | None = None,
    batch: int = DEFAULT_BATCH,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> AsyncIterator[Outcome[T]]:
    """`stream` for asyncio: the same answers in the same order, while the event loop stays free.

    Arguments and errors as for `stream`; the sources may also be an asynchronous iterable.
    """
    task = partial(_outcomes, work=work, max_pixels=max_pixels)
    batches = _batches_async(_as_async(sources), _checked(batch, "batch"))
    return _in_order_async(batches, task, _checked(workers, "workers"))


def _checked(count: int | None, name: str) -> int:
    """The count, or one per core.

    Raises:
        InputError: less than 1.
    """
    if count is not None and count < 1:
        raise InputError(f"{name} must be at least 1, got {count}")
    return count or usable_cores()


def _outcomes(sources: Sequence[ImageSource], *, work: Work[T], max_pixels: int) -> list[Outcome[T]]:
    """One batch, from the files to the answers."""
    images: list[Image] = []
    errors: list[ImageError | None] = []
    for source in sources:
        try:
            images.append(load_image(source, max_pixels=max_pixels))
            errors.append(None)
        except ImageError as error:
            errors.append(error)
    answers = iter(work(images) if images else ())
    return [
        Outcome(source, error=error) if error else Outcome(source, next(answers))
        for source, error in zip(sources, errors, strict=True)
    ]


def _in_order(
    batches: Iterator[list[ImageSource]],
    task: Callable[[Sequence[ImageSource]], list[Outcome[T]]],
    workers: int,
) -> Iterator[Outcome[T]]:
    with _workers(workers) as pool:
        begun: deque[Future[list[Outcome[T]]]] = deque()
        for each in batches:
            begun.append(pool.submit(task, each))
            if len(begun) >= BATCHES_AHEAD * workers:
                yield from begun.popleft().result()
        while begun:
            yield from begun.popleft().result()


async def _in_order_async(
    batches: AsyncIterator[list[ImageSource]],
    task: Callable[[Sequence[ImageSource]], list[Outcome[T]]],
    workers: int,
) -> AsyncIterator[Outcome[T]]:
    with _workers(workers) as pool:
        begun: deque[Future[list[Outcome[T]]]] = deque()
        async for each in batches:
            begun.append(pool.submit(task, each))
            if len(begun) >= BATCHES_AHEAD * workers:
                for outcome in await asyncio.wrap_future(begun.popleft()):
                    yield outcome
        while begun:
            for outcome in await asyncio.wrap_future(begun.popleft()):
                yield outcome


@contextmanager
def _workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are gone at the end; what nobody will read is not begun any more."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="vultus-stream")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches(sources: Iterable[ImageSource], size: int) -> Iterator[list[ImageSource]]:
    remaining = iter(sources)
    while chosen := list(islice(remaining, size)):
        yield chosen


async def _batches_async(sources: AsyncIterator[ImageSource], size: int) -> AsyncIterator[list[ImageSource]]:
    chosen: list[ImageSource] = []
    async for source in sources:
        chosen.append(source)
        if len(chosen) == size:
            yield chosen
            chosen = []
    if chosen:
        yield chosen


async def _as_async(sources: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(sources, AsyncIterable):
        async for source in sources:
            yield source
    else:
        for source in sources:
            yield source
