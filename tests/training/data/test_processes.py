"""Work spread over processes."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from operator import attrgetter, itemgetter
from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.training.data.processes import in_processes

WORK = """
import os, sys, time
from pathlib import Path
from vultus.training.data.processes import in_processes

def waiter(folder):
    def wait(job):
        (folder / f"{os.getpid()}").touch()
        time.sleep(0.02)
        return job
    return wait

if __name__ == "__main__":
    for _ in in_processes(waiter, Path(sys.argv[1]), range(100_000), workers=2):
        pass
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    jobs = [(0, job) for job in range(50)]
    assert list(in_processes(itemgetter, 1, jobs, workers=workers)) == list(range(50))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_is_its_own(workers: int) -> None:
    with pytest.raises(IndexError):
        list(in_processes(itemgetter, 1, [(1, 2), (1,)], workers=workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_before_the_work_is_its_own(workers: int) -> None:
    with pytest.raises(TypeError, match="attribute name must be a string"):
        list(in_processes(attrgetter, 1, [1, 2, 3], workers=workers))  # type: ignore[arg-type]  # on purpose


def test_no_worker_is_refused() -> None:
    with pytest.raises(InputError, match="workers must be at least 1"):
        list(in_processes(itemgetter, 1, [(1, 2)], workers=0))


def test_a_killed_parent_leaves_no_process_behind(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(textwrap.dedent(WORK), encoding="utf-8")
    folder = tmp_path / "pids"
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, script, folder])
    try:
        _until(lambda: len(list(folder.iterdir())) == 2)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(path.name) for path in folder.iterdir()]
    assert len(pids) == 2
    _until(lambda: not any(_is_alive(pid) for pid in pids))


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
