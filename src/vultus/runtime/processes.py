"""Processes of our own: begun afresh, and gone with the process that began them."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def spawned_pool(workers: int, start: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """A pool whose processes end when this one is killed, instead of waiting for it for ever.

    Args:
        workers: how many processes.
        start: called first in each of them; importable by its name.
        arguments: of `start`; they travel there.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(start, *arguments))


def _begin(start: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
