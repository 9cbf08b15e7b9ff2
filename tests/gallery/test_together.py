"""Several threads, several galleries on one file, several processes: everybody sees what was committed."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery
from vultus.gallery.database import Database
from vultus.gallery.follower import Follower
from vultus.gallery.journal import KEPT_CHANGES
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]
WRITER = Path(__file__).with_name("busy_writer.py")


def best(gallery: SqliteGallery, face: Template) -> str:
    """The name of whoever is closest."""
    (answer,) = gallery.search(face.embedding[np.newaxis], top_k=1)
    return answer[0].name if answer and answer[0].similarity > 0.999 else ""


def test_a_second_gallery_follows_every_change_of_the_first(
    gallery: SqliteGallery, faces: MakeFaces, path: Path
) -> None:
    first, second, third = faces(3)
    with SqliteGallery(path, contract="contract-1") as follower:
        assert best(follower, first) == ""
        anna = gallery.enrol("Anna", [first])
        assert best(follower, first) == "Anna"
        gallery.enrol("Anna", [second])
        assert best(follower, second) == "Anna"
        gallery.rename(anna.id, "Annette")
        assert best(follower, first) == best(follower, second) == "Annette"
        gallery.remove_template(anna.id, gallery.template_ids(anna.id)[0])
        assert best(follower, first) == ""
        assert best(follower, second) == "Annette"
        gallery.remove(anna.id)
        assert best(follower, second) == ""
        follower.enrol("Berta", [third])
        assert best(gallery, third) == "Berta"


LOOKS = "import sys; from vultus.gallery import SqliteGallery; SqliteGallery(sys.argv[1]).close()"
ENROLS_AND_DIES = """
import os, subprocess, sys
import numpy as np
from vultus.gallery import SqliteGallery
from vultus.gallery.erasure import erase
from vultus.types import Template

path, looks, before = sys.argv[1:]
gallery = SqliteGallery(path, contract="contract-1")
face = Template(np.eye(8, dtype=np.float32)[0])
if before == "opened twice":
    SqliteGallery(path).close()
if before == "erased":
    erase(gallery, gallery.enrol("Zoe", [face]).id)
subprocess.run([sys.executable, "-c", looks, path], check=True)
gallery.enrol("Anna", [face])
os._exit(0)  # as if it were killed: acknowledged is acknowledged
"""


@pytest.mark.parametrize("before", ["opened", "opened twice", "erased"])
def test_whoever_opens_and_closes_the_file_meanwhile_takes_nothing_away(path: Path, before: str) -> None:
    """A process that reads the file by other means than SQLite lets go of all its locks on it by closing it.

    The next process to close it then takes itself for the last, and deletes the log that is still written to.
    """
    subprocess.run([sys.executable, "-c", ENROLS_AND_DIES, str(path), LOOKS, before], check=True)
    with SqliteGallery(path) as gallery:
        assert [person.name for person in gallery.people()] == ["Anna"]


def test_a_gallery_that_changed_nothing_is_not_read_again(
    gallery: SqliteGallery, faces: MakeFaces, path: Path
) -> None:
    (face,) = faces(1)
    gallery.enrol("Anna", [face])
    assert best(gallery, face) == "Anna"
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        for _ in range(5):
            assert best(gallery, face) == "Anna"
        assert connection.execute("PRAGMA data_version").fetchone() == before
    assert path.read_bytes() == content, "a search writes nothing"


def test_a_follower_too_far_behind_reads_everything_again(
    gallery: SqliteGallery, faces: MakeFaces, path: Path
) -> None:
    first, second, third, fourth = faces(4)
    with SqliteGallery(path) as follower:
        anna = gallery.enrol("Anna", [first])
        assert best(follower, first) == "Anna"
        gallery.remove(anna.id)
        gallery.enrol("Berta", [second])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE sqlite_sequence SET seq = {2 * KEPT_CHANGES} WHERE name = 'changes'")
        gallery.enrol("Cora", [third])  # cuts off what is older than the last 100,000 changes
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM changes").fetchone() == (1,)
        assert [best(follower, face) for face in (first, second, third)] == ["", "Berta", "Cora"]
        gallery.enrol("Dora", [fourth])
        assert best(follower, fourth) == "Dora"


def test_sixteen_threads_enrol_and_search_at_once(gallery: SqliteGallery, faces: MakeFaces) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                face = faces(1, seed=100 * number + turn)[0]
                person = gallery.enrol(f"person {number}-{turn}", [face])
                assert best(gallery, face) == person.name
                if turn % 3 == 2:
                    gallery.remove(person.id)
                    assert best(gallery, face) != person.name
                elif turn % 3 == 1:
                    gallery.rename(person.id, f"renamed {number}-{turn}")
                    assert best(gallery, face) == f"renamed {number}-{turn}"
                assert gallery.find(f"person {number}-0").template_count == 1
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    assert len(gallery.people()) == 16 * 4
    assert gallery.check().is_clean
    assert len(gallery.audit()) == 16 * (6 + 2 + 2)


def test_a_check_and_an_export_see_one_moment(
    gallery: SqliteGallery, faces: MakeFaces, tmp_path: Path
) -> None:
    for seed in range(200):  # they take long enough to read for Anna, the last, to be overtaken
        gallery.enrol(f"old {seed}", faces(1, seed=seed, crops=False))
    gallery.enrol("Anna", faces(1))
    is_over = threading.Event()

    def write() -> None:
        seed = 1
        while not is_over.is_set():
            gallery.enrol("Anna", faces(1, seed=seed, crops=False))
            gallery.enrol(f"person {seed}", faces(1, seed=seed, crops=False))
            seed += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        counts = []
        for number in range(4):
            checkup = gallery.check()
            assert checkup.is_clean, checkup.damaged
            counts.append(checkup.templates)
            gallery.export(tmp_path / f"{number}.zip")
    finally:
        is_over.set()
        writer.join()
    assert counts[0] < counts[-1], "nobody wrote meanwhile"


def test_a_large_gallery_is_read_into_as_much_memory_as_it_needs(
    gallery: SqliteGallery, faces: MakeFaces
) -> None:
    gallery.enrol("Anna", faces(1500, crops=False))
    follower = Follower(gallery.database)
    assert len(follower.index()) == 1500
    assert follower.index().n_bytes == 1500 * 16 * 4


def test_galleries_made_at_the_same_moment_are_one(path: Path, faces: MakeFaces) -> None:
    start = threading.Barrier(8)
    names: list[str] = []

    def work(number: int) -> None:
        start.wait(timeout=30)
        with SqliteGallery(path, contract="c") as gallery:
            names.append(gallery.enrol(f"person {number}", faces(1, seed=number)).name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    with SqliteGallery(path) as gallery:
        assert sorted(person.name for person in gallery.people()) == sorted(names)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_whoever_finds_the_file_locked_waits_for_a_while(
    gallery: SqliteGallery, faces: MakeFaces, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with closing(Database(path, wait_s=0.1)) as impatient:  # noqa: SIM117 (what may raise stands alone)
            with pytest.raises(GalleryError, match="another process keeps it locked"), impatient.writing():
                pass
        assert time.monotonic() - start < 10
        assert gallery.search(faces(1)[0].embedding[np.newaxis]) == [()], "reading goes on"
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        assert gallery.enrol("Anna", faces(1)).name == "Anna"
        timer.join()


@pytest.mark.slow
def test_two_processes_write_five_hundred_people_each_and_see_each_others(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, str(WRITER), str(path), own, other, "500"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own, other in (("a", "b"), ("b", "a"))
    ]
    results = [writer.communicate(timeout=240) for writer in writers]
    assert [error for _, error in results] == ["", ""]
    with SqliteGallery(path) as gallery:
        people = {person.name for person in gallery.people()}
        assert people == {f"{own} {number}" for own in "ab" for number in range(1, 501)}
        assert gallery.check().is_clean
        assert {entry.actor for entry in gallery.audit()} == {"a", "b"}
    # They ran at the same time: each found many newest people of the other, not only the last one.
    assert all(int(found) > 20 for found, _ in results)
