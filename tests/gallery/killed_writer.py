"""Run as a script: kill -9 a stream of enrolments at random moments, and look at what is left each time.

    python killed_writer.py PATH ROUNDS

Each round forks a child, which enrols and removes people without pause and acknowledges each finished change
on a pipe; kills it after a random time; and compares the gallery with what was acknowledged. The last line
tells how many changes that were.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from vultus.gallery import SqliteGallery
from vultus.types import Identity, Template


def faces(number: int) -> list[Template]:
    """Two or three templates with crops, by which everybody's number can be told."""
    generator = np.random.default_rng(number)
    vectors = generator.standard_normal((2 + number % 2, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    crop = generator.integers(0, 256, (32, 32, 3), np.uint8)
    return [Template(vector.astype(np.float32), crop=crop) for vector in vectors]


def write_until_killed(path: Path, first: int, pipe: int) -> None:
    """Enrol `first`, `first + 1`, ...; remove every fifth again."""
    with SqliteGallery(path, contract="contract-1") as gallery:
        for number in range(first, first + 100_000):
            person = gallery.enrol(f"person {number}", faces(number), metadata={"number": number})
            os.write(pipe, f"+{number}\n".encode())
            if number % 5 == 0:
                os.write(pipe, f"?{number}\n".encode())  # from here on gone or not
                gallery.remove(person.id)
                os.write(pipe, f"-{number}\n".encode())


def acknowledged(path: Path, first: int, *, after_s: float) -> list[str]:
    """What a child acknowledged that was killed so long after its first change."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        write_until_killed(path, first, writer)
    os.close(writer)
    received = os.read(reader, 65_536)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while piece := os.read(reader, 65_536):
        received += piece
    os.close(reader)
    return received.decode().split()


def compare(path: Path, expected: set[int], unsure: set[int]) -> set[int]:
    """Check that exactly the expected people are there, and each whole; return who is."""
    with SqliteGallery(path, contract="contract-1") as gallery:
        checkup = gallery.check()
        assert checkup.is_clean, checkup.damaged
        people = {int(person.metadata["number"]): person for person in gallery.people()}
        assert expected - unsure <= set(people), f"lost: {expected - unsure - set(people)}"
        assert set(people) <= expected | unsure, f"not expected: {set(people) - expected - unsure}"
        for number in sorted(people)[-20:]:
            check_whole(gallery, people[number], number)
    return set(people)


def check_whole(gallery: SqliteGallery, person: Identity, number: int) -> None:
    """Check that somebody has all of their templates with crops, and is found by them."""
    stored, given = gallery.templates(person.id), faces(number)
    assert [one.embedding.tobytes() for one in stored] == [one.embedding.tobytes() for one in given]
    crops = [(one.crop, other.crop) for one, other in zip(stored, given, strict=True)]
    assert all(a is not None and b is not None and np.array_equal(a, b) for a, b in crops)
    (best,) = gallery.search(given[-1].embedding[np.newaxis], top_k=1)[0]
    assert best.id == person.id


def main(path: Path, rounds: int) -> None:
    generator = random.Random(7)
    expected: set[int] = set()
    changes = first = 0
    for _ in range(rounds):
        lines = acknowledged(path, first, after_s=generator.uniform(0.0, 0.25))
        numbers = {sign: {int(line[1:]) for line in lines if line[0] == sign} for sign in "+?-"}
        last = max(numbers["+"])
        unsure = (numbers["?"] - numbers["-"]) | {last + 1}
        expected = compare(path, (expected | numbers["+"]) - numbers["-"], unsure)
        changes += len(numbers["+"]) + len(numbers["-"])
        first = last + 2
    sys.stdout.write(f"{changes}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
