"""From faces and a user's decisions to people.

Every face of which nobody said anything is grouped anew each time, so that the grouping is a function of the
photos and of the decisions: in how many runs the photos came, and in which order, makes no difference.

    settled faces of one person     one group from the beginning, whatever they look like
    two people with settled faces   never joined: only a user can do that
    two faces in one photo          never joined: a person is there once
    a face that is not somebody's   never joined with that person's settled faces
    too small, or blurred           left out, since such faces resemble each other, unless settled

A group keeps the number of the person it was: that of the user's decision or, where there is none, of the
person of whom it has most faces. Numbers are never given twice.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from vultus.cluster.linkage import Indices, link
from vultus.cluster.rows import (
    FaceRow,
    add_person,
    forget_empty_people,
    read_faces,
    read_refusals,
    read_settings,
    write_members,
    write_setting,
)
from vultus.cluster.state import PhotoState
from vultus.defaults import MIN_FACE_PX, MIN_SHARPNESS
from vultus.errors import GalleryError, InputError
from vultus.interfaces import Embedder
from vultus.pipeline.thresholds import threshold_for_pair

LINKAGE_FMR: Final = 0.0005
"""Groups are joined at the similarity that one pair of strangers in 2,000 reaches. A collection most of whose
people were there once or twice was grouped best with it: `benchmarks/clusters.py`, on training people."""


def default_min_similarity(embedder: Embedder) -> float:
    """From which mean similarity on two groups are one person, for the embeddings of this network.

    Raises:
        InputError: nobody has measured what its similarities mean.
    """
    return threshold_for_pair(embedder, fmr=LINKAGE_FMR).min_similarity


def group_people(state: PhotoState, *, min_similarity: float, min_face_px: float = MIN_FACE_PX) -> None:
    """Say of every face whose it is, now and after each decision that a user makes.

    Args:
        state: the collection.
        min_similarity: groups are joined from this mean similarity on.
        min_face_px: smaller faces are left out; the shorter side of the box, in pixels of the photo.

    Raises:
        InputError: `min_similarity` is no cosine, or `min_face_px` is negative.
        GalleryError: the collection's file is damaged, or cannot be written to.
    """
    if not min_face_px >= 0:
        raise InputError(f"min_face_px must be at least 0, got {min_face_px}")
    with state.writing() as connection:
        write_setting(connection, "min_similarity", repr(float(min_similarity)))
        write_setting(connection, "min_face_px", repr(float(min_face_px)))
        regroup(connection)


def regroup(connection: sqlite3.Connection) -> None:
    """The same within the caller's transaction, with the settings of the last time.

    Raises:
        GalleryError: the collection was never grouped.
        sqlite3.DatabaseError: a row is damaged.
    """
    faces = read_faces(connection)
    min_similarity, min_face_px = limits(connection)
    taking_part = [face for face in faces if face.is_settled or is_clear(face, min_face_px=min_face_px)]
    connection.execute("DELETE FROM members WHERE NOT is_settled")
    if taking_part:
        groups = link(
            np.stack([face.vector for face in taking_part]),
            min_similarity=min_similarity,
            start=_start(taking_part),
            apart=list(_apart(taking_part, read_refusals(connection))),
        )
        _number(connection, taking_part, groups)
    forget_empty_people(connection)


def limits(connection: sqlite3.Connection) -> tuple[float, float]:
    """The least mean similarity of two groups that are one person, and the least size of a face.

    Raises:
        GalleryError: the collection was never grouped.
    """
    settings = read_settings(connection)
    try:
        return float(settings["min_similarity"]), float(settings["min_face_px"])
    except KeyError as error:
        raise GalleryError(
            f"these photos were never grouped (there is no {error}): run `vultus cluster` once to its end"
        ) from error


def is_clear(face: FaceRow, *, min_face_px: float) -> bool:
    """Whether a face shows enough to be grouped."""
    return face.size_px >= min_face_px and face.sharpness >= MIN_SHARPNESS


def _start(faces: Sequence[FaceRow]) -> list[int]:
    """A number for each face, the same one for those that a user put together."""
    first: dict[int | None, int] = {}
    return [first.setdefault(face.person, row) if face.is_settled else row for row, face in enumerate(faces)]


def _apart(faces: Sequence[FaceRow], refusals: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Pairs of faces, by their place, that are never one person."""
    photos: dict[str, list[int]] = defaultdict(list)
    settled: dict[int | None, int] = {}
    place = {face.id: row for row, face in enumerate(faces)}
    for row, face in enumerate(faces):
        photos[face.photo].append(row)
        if face.is_settled:
            settled.setdefault(face.person, row)
    for together in photos.values():
        yield from combinations(together, 2)
    yield from combinations(settled.values(), 2)
    for face_id, person in refusals:
        if face_id in place and person in settled:
            yield place[face_id], settled[person]


def _number(connection: sqlite3.Connection, faces: Sequence[FaceRow], groups: Indices) -> None:
    """Write down which group is which person."""
    members: dict[int, list[FaceRow]] = defaultdict(list)
    for group, face in zip(groups.tolist(), faces, strict=True):
        members[group].append(face)
    person_of = _known(members)
    for group in sorted(members.keys() - person_of.keys(), key=lambda one: (-len(members[one]), one)):
        person_of[group] = add_person(connection)
    for group, person in person_of.items():
        free = [face.id for face in members[group] if not face.is_settled]
        write_members(connection, free, person=person, is_settled=False)


def _known(members: dict[int, list[FaceRow]]) -> dict[int, int]:
    """The groups that are people already: by decision, else by most faces in common."""
    decided = {
        group: face.person
        for group, together in members.items()
        for face in together
        if face.is_settled and face.person is not None
    }
    common = Counter(
        (group, face.person)
        for group, together in members.items()
        for face in together
        if face.person is not None
    )
    taken = set(decided.values())
    for (group, person), _ in sorted(common.items(), key=lambda item: (-item[1], item[0][1], item[0][0])):
        if group not in decided and person not in taken:
            decided[group] = person
            taken.add(person)
    return decided
