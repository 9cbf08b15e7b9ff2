"""An acknowledged change survives; an interrupted one leaves no trace."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]
WRITER = Path(__file__).with_name("killed_writer.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_thirty_killed_writers_lose_nobody_and_leave_no_half_person(path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(WRITER), "client", str(path), "30"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert run.stderr == ""
    assert int(run.stdout) > 100


@pytest.mark.parametrize("table", ["people", "templates", "audit", "changes"])
def test_a_change_that_fails_half_way_leaves_no_trace(
    gallery: SqliteGallery, faces: MakeFaces, path: Path, table: str
) -> None:
    anna = gallery.enrol("Anna", faces(2))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f"CREATE TRIGGER fail AFTER INSERT ON {table} WHEN (SELECT count(*) FROM templates) >= 2 "
            "BEGIN SELECT RAISE(ABORT, 'the power went'); END"
        )
    for name in ("Anna", "Berta") if table != "people" else ("Berta",):  # Anna's row is only updated
        with pytest.raises(GalleryError, match="the power went"):
            gallery.enrol(name, faces(3, seed=1))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER fail")
    assert gallery.people() == [anna]
    assert gallery.check().is_clean
    assert len(gallery.audit()) == 1
    assert gallery.enrol("Berta", faces(3, seed=1)).template_count == 3, "the gallery goes on"


FULL_DISK = """
import os, resource, sys
import numpy as np
from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery
from vultus.types import Template

def face(number):
    vector = np.zeros(64, np.float32)
    vector[number % 64] = 1.0
    return Template(vector, crop=np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8))

with SqliteGallery(sys.argv[1], contract="c") as gallery:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    acknowledged = []
    try:
        for number in range(1000):
            gallery.enrol(f"person {number}", [face(number), face(number + 1)])
            acknowledged.append(f"person {number}")
    except GalleryError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert sorted(person.name for person in gallery.people()) == sorted(acknowledged)
    assert all(person.template_count == 2 for person in gallery.people())
    assert gallery.check().is_clean
    gallery.enrol("the next one", [face(0)])
    print(len(acknowledged))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX knows it")
def test_a_full_disk_is_a_typed_error_and_leaves_no_half_person(path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), "300000"], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    message, count = run.stdout.splitlines()
    assert f"gallery {path}: " in message
    assert "was not made" in message
    with SqliteGallery(path) as gallery:
        assert len(gallery.people()) == int(count) + 1
        assert gallery.check().is_clean


def test_a_full_disk_on_the_first_day_makes_no_gallery(path: Path) -> None:
    script = (
        "import resource, sys; from vultus.gallery import SqliteGallery\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))\n"
        "SqliteGallery(sys.argv[1])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert f"vultus.errors.GalleryError: gallery {path}: " in run.stderr
    assert list(path.parent.iterdir()) == []
