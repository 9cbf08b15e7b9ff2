"""Several processes answer in order, and a photo that ends its process takes no other with it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.batch import in_processes
from vultus.errors import InputError
from vultus.gallery import SqliteGallery

SCRIPT = Path(__file__).with_name("killed_indexer.py")


def test_fewer_than_one_process_is_refused(indexer: ModuleType, album: Path) -> None:
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        list(in_processes(indexer.work_of(album), [], workers=0))


def test_a_photo_that_ends_its_process_is_quarantined_alone(
    run_indexer: Callable[..., dict[str, Any]], album: Path, tmp_path: Path
) -> None:
    PillowImage.fromarray(np.full((24, 24, 3), 255, np.uint8)).save(album / "berta" / "poison.png")
    done = run_indexer(album, tmp_path / "people.db", "pool")
    assert (done["photos"], done["indexed"], done["faces"]) == (41, 37, 49)
    assert done["quarantined"] == 3
    with SqliteGallery(tmp_path / "people.db") as gallery:
        assert not any(one.metadata["photo"] == "berta/poison.png" for one in gallery.people())


def test_a_killed_parent_leaves_no_process_behind(album: Path, tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, SCRIPT, album, tmp_path / "people.db", "pool"])
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    if not children.exists():
        run.kill()
        run.wait()
        pytest.skip("this system does not tell a process's children")
    found: list[str] = []
    deadline = time.monotonic() + 120
    while len(found) < 3 and run.poll() is None and time.monotonic() < deadline:  # a tracker, two workers
        found = children.read_text().split() or found
        time.sleep(0.02)
    run.kill()
    run.wait()
    assert found
    while (alive := [pid for pid in found if _is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
