"""What a user says about who is who, and what follows from it, in one transaction each.

Whoever was named, merged or split is *settled*: their faces stay together, and only a user joins them with
somebody else who is. New faces may still come to them by themselves, and may be sent away again.
"""

import sqlite3
from collections.abc import Collection, Sequence

from vultus.cluster.grouping import regroup
from vultus.cluster.rows import (
    add_person,
    add_refusals,
    name_person,
    read_faces,
    read_files,
    read_members,
    read_people,
    write_members,
)
from vultus.cluster.state import PhotoState
from vultus.errors import GalleryError, InputError, NotEnrolledError
from vultus.gallery.names import checked_name, name_key


def find_person(connection: sqlite3.Connection, name_or_number: str) -> int:
    """The number of a person.

    Raises:
        NotEnrolledError: nobody has this number or name.
    """
    people = read_people(connection)
    if name_or_number.isdecimal() and int(name_or_number) in people:
        return int(name_or_number)
    key = name_key(name_or_number)
    for number, name in people.items():
        if name is not None and name_key(name) == key:
            return number
    raise NotEnrolledError(f"nobody among these photos has the number or name {name_or_number!r}")


def name(state: PhotoState, person: str, given: str) -> int:
    """Give a person a name; their faces stay together from now on.

    Returns:
        The person's number.

    Raises:
        InputError: no name that a person can have; a number is none.
        GalleryError: somebody else has it.
        NotEnrolledError: no such person.
    """
    clean = checked_name(given)
    if clean.isdecimal():
        raise InputError(f"a name may not be a number, since people are called by theirs: got {clean!r}")
    with state.writing() as connection:
        number = find_person(connection, person)
        for other, taken in read_people(connection).items():
            if other != number and taken is not None and name_key(taken) == name_key(clean):
                raise GalleryError(
                    f"person {other} is called {taken!r}: merge the two, or choose another name"
                )
        name_person(connection, number, clean)
        _settle(connection, number)
        regroup(connection)
    return number


def merge(state: PhotoState, kept: str, others: Sequence[str], *, force: bool = False) -> int:
    """Make one person of several.

    Args:
        state: the collection.
        kept: who keeps their number, and their name if they have one.
        others: who they are, too.
        force: even where that shows the person twice in one photo: a mirror, a picture in the picture.

    Returns:
        The person's number.

    Raises:
        InputError: nobody to merge with, or the person would be in one photo twice.
        NotEnrolledError: no such person.
    """
    with state.writing() as connection:
        number = find_person(connection, kept)
        merged = {find_person(connection, one) for one in others} - {number}
        if not merged:
            raise InputError("a person cannot be merged with themselves: name two people")
        members = read_members(connection)
        people = read_people(connection)
        faces = [face for face, (whose, _) in members.items() if whose in merged]
        _assign(connection, faces, number, force=force)
        names = sorted(called for one in merged if (called := people[one]) is not None)
        if people[number] is None and names:
            name_person(connection, number, names[0])
        regroup(connection)
    return number


def split(state: PhotoState, person: str, faces: Collection[int]) -> int:
    """Make a person of their own of some of somebody's faces.

    Returns:
        The new person's number.

    Raises:
        InputError: no faces, or all that the person has.
        NotEnrolledError: no such person, or the person has no such face.
    """
    with state.writing() as connection:
        number = find_person(connection, person)
        _check_some(connection, number, faces)
        new = add_person(connection)
        write_members(connection, faces, person=new, is_settled=True)
        _settle(connection, number)
        regroup(connection)
    return new


def reject(state: PhotoState, person: str, faces: Collection[int]) -> int:
    """Say that some of somebody's faces are not theirs; whose they are is found out anew.

    Returns:
        The person's number.

    Raises:
        InputError: no faces, or all that the person has.
        NotEnrolledError: no such person, or the person has no such face.
    """
    with state.writing() as connection:
        number = find_person(connection, person)
        _check_some(connection, number, faces)
        connection.executemany("DELETE FROM members WHERE face = ?", [(face,) for face in faces])
        add_refusals(connection, faces, person=number)
        _settle(connection, number)
        regroup(connection)
    return number


def move(state: PhotoState, person: str, faces: Collection[int], *, force: bool = False) -> int:
    """Say that faces, whoever has them now, are this person's.

    Args:
        state: the collection.
        person: whose they are.
        faces: their numbers.
        force: even where that shows the person twice in one photo.

    Returns:
        The person's number.

    Raises:
        InputError: no faces, or the person would be in one photo twice.
        NotEnrolledError: no such person or face.
    """
    with state.writing() as connection:
        number = find_person(connection, person)
        if not faces:
            raise InputError("expected the number of at least one face, got none")
        if missing := set(faces) - {face.id for face in read_faces(connection)}:
            raise NotEnrolledError(f"there is no face of the number {', '.join(map(str, sorted(missing)))}")
        _assign(connection, faces, number, force=force)
        regroup(connection)
    return number


def _settle(connection: sqlite3.Connection, person: int) -> None:
    """All faces that the person has now stay theirs."""
    faces = [face for face, (whose, _) in read_members(connection).items() if whose == person]
    write_members(connection, faces, person=person, is_settled=True)


def _assign(connection: sqlite3.Connection, faces: Collection[int], person: int, *, force: bool) -> None:
    """Give a person faces for good, with those they have, and forget that they were refused."""
    if not force:
        _check_once_a_photo(connection, faces, person)
    write_members(connection, faces, person=person, is_settled=True)
    connection.executemany(
        "DELETE FROM refusals WHERE face = ? AND person = ?", [(face, person) for face in faces]
    )
    _settle(connection, person)


def _check_once_a_photo(connection: sqlite3.Connection, faces: Collection[int], person: int) -> None:
    together = [face for face in read_faces(connection) if face.person == person or face.id in faces]
    seen: dict[str, int] = {}
    for face in together:
        if face.photo in seen:
            path = next(path for path, row in read_files(connection).items() if row.digest == face.photo)
            raise InputError(
                f"faces {seen[face.photo]} and {face.id} are both in {path}, and nobody is in a photo twice: "
                "reject the wrong one, or force it if it is a mirror or a picture in the picture"
            )
        seen[face.photo] = face.id


def _check_some(connection: sqlite3.Connection, person: int, faces: Collection[int]) -> None:
    """Refuse faces that the person has not, and to take away none or all."""
    own = {face for face, (whose, _) in read_members(connection).items() if whose == person}
    if missing := set(faces) - own:
        raise NotEnrolledError(
            f"person {person} has no face of the number {', '.join(map(str, sorted(missing)))}"
        )
    if not faces or own == set(faces):
        raise InputError(
            f"person {person} has {len(own)} faces; expected some of them, not {'all' if faces else 'none'}: "
            "a person without a face is nobody"
        )
