"""One machine: photos in portions, done in this process or in several, answers in the order of the photos.

Only so many portions wait at once, so a hundred million photos take no more memory than a thousand. If a
process ends over a photo (killed for lack of memory, or a fault in a decoder), its portions are done again,
the first of them photo by photo: whichever photo ends its process again, alone, is the guilty one. Processes
whose parent was killed end too.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Final, TypeAlias

from vultus.batch.source import Photo
from vultus.batch.work import PhotoFaces, PhotoWork, crashed
from vultus.errors import InputError
from vultus.runtime.processes import spawned_pool

Portion: TypeAlias = Sequence[Photo]

_AHEAD: Final = 3  # portions that each process has before it
_work: list[PhotoWork] = []  # of this process


def in_this_process(work: PhotoWork, portions: Iterable[Portion]) -> Iterator[list[PhotoFaces]]:
    """The answers of each portion. A photo that ends the process ends the run."""
    return map(work, portions)


def in_processes(work: PhotoWork, portions: Iterable[Portion], *, workers: int) -> Iterator[list[PhotoFaces]]:
    """The answers of each portion, in their order.

    Args:
        work: travels to each process and loads its parts there.
        portions: of photos.
        workers: how many processes.

    Raises:
        InputError: fewer than one process.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    remaining = iter(portions)
    pool = _pool(work, workers)
    waiting: deque[tuple[Portion, Future[list[PhotoFaces]]]] = deque()
    try:
        while True:
            waiting.extend(_begun(pool, islice(remaining, _AHEAD * workers - len(waiting))))
            if not waiting:
                return
            portion, answers = waiting.popleft()
            try:
                yield answers.result()
            except BrokenProcessPool:
                pool.shutdown(cancel_futures=True)
                yield _one_by_one(work, portion)
                pool = _pool(work, workers)
                waiting = deque(_begun(pool, [lost for lost, _ in waiting]))
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(
    pool: ProcessPoolExecutor, portions: Iterable[Portion]
) -> Iterator[tuple[Portion, Future[list[PhotoFaces]]]]:
    for portion in portions:
        try:
            yield portion, pool.submit(_do, portion)
        except BrokenProcessPool as error:  # noticed when its answer is taken
            lost: Future[list[PhotoFaces]] = Future()
            lost.set_exception(error)
            yield portion, lost


def _one_by_one(work: PhotoWork, portion: Portion) -> list[PhotoFaces]:
    """Each photo in a process that nobody else depends on."""
    answers: list[PhotoFaces] = []
    pool = _pool(work, 1)
    for photo in portion:
        try:
            answers += pool.submit(_do, [photo]).result()
        except BrokenProcessPool:
            answers.append(crashed(photo))
            pool.shutdown()
            pool = _pool(work, 1)
    pool.shutdown()
    return answers


def _pool(work: PhotoWork, workers: int) -> ProcessPoolExecutor:
    return spawned_pool(workers, _start, work)


def _start(work: PhotoWork) -> None:
    _work.append(work)


def _do(portion: Portion) -> list[PhotoFaces]:
    return _work[0](portion)
