"""Who is in a photo collection, in the order in which one wants to see them, and who may be one person."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from vultus.cluster.grouping import limits
from vultus.cluster.linkage import BLOCK
from vultus.cluster.rows import FaceRow, read_faces, read_files, read_people, read_refusals
from vultus.cluster.state import PhotoState

MAX_QUESTIONS: Final = 8
DOUBTFUL: Final = 0.05
"""People whose mean similarity is less than this below the threshold may be one."""


@dataclass(frozen=True, eq=False, slots=True)
class Person:
    """Somebody who was found in the photos.

    Attributes:
        number: by which commands call them.
        name: that a user gave, or None.
        faces: the largest and sharpest first.
    """

    number: int
    name: str | None
    faces: tuple[FaceRow, ...]

    @property
    def title(self) -> str:
        """The name, or the number where there is none."""
        return self.name or f"Person {self.number}"

    @property
    def photos(self) -> int:
        """In how many photos they are."""
        return len({face.photo for face in self.faces})


@dataclass(frozen=True, slots=True)
class Question:
    """Two people who may be one: the user knows."""

    first: Person
    second: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is in a collection.

    Attributes:
        people: those with names by name, then those in most photos first.
        left_out: faces that are too small or too blurred to say whose they are.
        paths: digest of a photo -> its files, relative to the folder.
        questions: pairs of people who may be one, the closest first.
        min_similarity: from which mean similarity on they would be.
    """

    people: tuple[Person, ...]
    left_out: tuple[FaceRow, ...]
    paths: Mapping[str, tuple[str, ...]]
    questions: tuple[Question, ...]
    min_similarity: float

    @property
    def faces(self) -> int:
        """How many faces there are, grouped or not."""
        return len(self.left_out) + sum(len(person.faces) for person in self.people)


def overview(state: PhotoState) -> Overview:
    """Everything that is known of a collection.

    Raises:
        GalleryError: its file is damaged, or it was never grouped.
    """
    with state.reading() as connection:
        min_similarity, _ = limits(connection)
        faces, refusals = read_faces(connection), read_refusals(connection)
        paths: dict[str, list[str]] = defaultdict(list)
        for path, row in read_files(connection).items():
            paths[row.digest].append(path)
        people = _people(connection, faces)
    return Overview(
        people=people,
        left_out=tuple(face for face in faces if face.person is None),
        paths={digest: tuple(names) for digest, names in paths.items()},
        questions=tuple(_questions(people, refusals, min_similarity)),
        min_similarity=min_similarity,
    )


def _people(connection: sqlite3.Connection, faces: Sequence[FaceRow]) -> tuple[Person, ...]:
    members: dict[int, list[FaceRow]] = defaultdict(list)
    for face in faces:
        if face.person is not None:
            members[face.person].append(face)
    names = read_people(connection)
    people = [
        Person(number, names[number], tuple(sorted(own, key=_goodness, reverse=True)))
        for number, own in members.items()
    ]
    named = sorted((one for one in people if one.name), key=lambda one: (one.title.casefold(), one.number))
    others = sorted((one for one in people if not one.name), key=lambda one: (-one.photos, one.number))
    return (*named, *others)


def _goodness(face: FaceRow) -> tuple[float, int]:
    """How well a face shows its person: beyond 160 px more of them show no more."""
    return face.sharpness * min(face.size_px, 160.0), -face.id


def _questions(
    people: Sequence[Person], refusals: Sequence[tuple[int, int]], min_similarity: float
) -> Iterator[Question]:
    """The closest pairs that are near the threshold, and whom nobody has told apart."""
    refused = set(refusals)
    near = sorted(_near_pairs(people, min_similarity - DOUBTFUL), reverse=True)
    pairs = (Question(people[row], people[column], score) for score, row, column in near)
    yield from islice(
        (one for one in pairs if not _are_told_apart(one.first, one.second, refused)), MAX_QUESTIONS
    )


def _near_pairs(people: Sequence[Person], least: float) -> Iterator[tuple[float, int, int]]:
    if not people:
        return
    centres = np.stack([np.mean([face.vector for face in person.faces], axis=0) for person in people])
    for begin in range(0, len(people), BLOCK):
        scores = np.triu(centres[begin : begin + BLOCK] @ centres.T, k=begin + 1)
        for row, column in np.argwhere(scores >= least):
            yield float(scores[row, column]), int(begin + row), int(column)


def _are_told_apart(first: Person, second: Person, refused: set[tuple[int, int]]) -> bool:
    """Whether they are in one photo, or a user has said something about both."""
    if {face.photo for face in first.faces} & {face.photo for face in second.faces}:
        return True
    if all(any(face.is_settled for face in one.faces) for one in (first, second)):
        return True
    return any(
        (face.id, other.number) in refused
        for one, other in ((first, second), (second, first))
        for face in one.faces
    )
