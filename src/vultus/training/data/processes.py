"""Work spread over processes, its results in the order of the work.

Only so many results wait at once, so a million jobs take no more memory than a hundred; and processes whose
parent was killed end too, instead of waiting for it for ever.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar

from vultus.errors import InputError
from vultus.runtime.processes import spawned_pool

_AHEAD: Final = 8  # jobs that each process has before it
_recipe: list[
    tuple[Callable[[Any], Callable[[Any], Any]], Any]
] = []  # of this process: makes what does its jobs

Setting = TypeVar("Setting")
Job = TypeVar("Job")
Result = TypeVar("Result")


def in_processes(
    make: Callable[[Setting], Callable[[Job], Result]],
    setting: Setting,
    jobs: Iterable[Job],
    *,
    workers: int,
) -> Iterator[Result]:
    """The result of each job, in the order of the jobs.

    Args:
        make: makes what does the jobs, once in each process; importable by its name, as the jobs are.
        setting: what `make` takes.
        jobs: what each is called with.
        workers: how many processes; with 1 the jobs are done in this one.

    Raises:
        InputError: fewer than one process; or one ended before its job was done.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if workers == 1:
        yield from map(make(setting), jobs)
        return
    pool = spawned_pool(workers, _start, make, setting)
    waiting: deque[Future[Result]] = deque()
    remaining = iter(jobs)
    try:
        waiting.extend(pool.submit(_work, job) for job in islice(remaining, workers * _AHEAD))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(_work, job) for job in islice(remaining, 1))
    except BrokenProcessPool as error:
        raise InputError(
            "a process ended before its work was done, for lack of memory perhaps: use fewer workers. What "
            "is done stays done"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(make: Callable[[Any], Callable[[Any], Any]], setting: Any) -> None:
    _recipe.append((make, setting))


def _work(job: Any) -> Any:
    return _worker()(job)


@cache
def _worker() -> Callable[[Any], Any]:
    """Made with the first job, whose error its own error then is."""
    make, setting = _recipe[0]
    return make(setting)
