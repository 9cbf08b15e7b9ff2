"""The rows of a photo collection, as values: faces, people, files."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from vultus.cluster.state import sealed, unsealed
from vultus.types import FloatArray

VECTOR: Final = np.dtype("<f4")


class FileRow(NamedTuple):
    """A photo's file: what was in it, and its size and times when it was read."""

    digest: str
    stamp: str


@dataclass(frozen=True, eq=False, slots=True)
class FoundFace:
    """A face as it was found in a photo.

    Attributes:
        box: corners x1 y1 x2 y2 in pixels of the upright photo.
        sharpness: 0..1, as `vultus.quality` measures it.
        vector: (D,) of length 1.
        thumbnail: a JPEG for people to look at.
    """

    box: tuple[float, float, float, float]
    sharpness: float
    vector: FloatArray
    thumbnail: bytes

    @property
    def size_px(self) -> float:
        """The shorter side of the box."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True, eq=False, slots=True)
class FaceRow(FoundFace):
    """A face as it is kept, its thumbnail apart.

    Attributes:
        id: never used twice.
        photo: the digest of the photo.
        person: whose it is; None where nobody can say.
        is_settled: whether a user said so.
    """

    id: int
    photo: str
    person: int | None
    is_settled: bool


def read_settings(connection: sqlite3.Connection) -> dict[str, str]:
    """Everything that belongs to the collection as a whole."""
    rows = connection.execute("SELECT name, value, checksum FROM settings")
    return dict(unsealed("settings", row) for row in rows)


def write_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Keep a setting in place of an earlier one of its name."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", sealed("settings", name, value))


def read_files(connection: sqlite3.Connection) -> dict[str, FileRow]:
    """Path -> what was in it, in the order of the paths."""
    rows = connection.execute("SELECT path, digest, stamp, checksum FROM files ORDER BY path")
    return {os.fsdecode(path): FileRow(*rest) for path, *rest in (unsealed("files", row) for row in rows)}


def replace_files(connection: sqlite3.Connection, files: Mapping[str, FileRow]) -> None:
    """Keep these files in place of all others, and forget the photos that are in none of them."""
    connection.execute("DELETE FROM files")
    rows = (sealed("files", os.fsencode(path), *row) for path, row in files.items())
    connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", rows)
    connection.execute("DELETE FROM photos WHERE digest NOT IN (SELECT digest FROM files)")


def read_photos(connection: sqlite3.Connection) -> set[str]:
    """The digests of all photos that were looked at."""
    rows = connection.execute("SELECT digest, faces, checksum FROM photos")
    return {unsealed("photos", row)[0] for row in rows}


def add_photo(connection: sqlite3.Connection, digest: str, faces: Iterable[FoundFace]) -> None:
    """Keep what was found in a photo, unless it is known already."""
    found = list(faces)
    photo = sealed("photos", digest, len(found))
    if not connection.execute("INSERT OR IGNORE INTO photos VALUES (?, ?, ?)", photo).rowcount:
        return
    (last,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'faces'"
    ).fetchone()
    for number, face in enumerate(found, start=last + 1):
        vector = face.vector.astype(VECTOR).tobytes()
        row = sealed("faces", number, digest, json.dumps(face.box), face.sharpness, vector)
        connection.execute("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?)", row)
        picture = sealed("thumbnails", number, face.thumbnail)
        connection.execute("INSERT INTO thumbnails VALUES (?, ?, ?)", picture)


def read_faces(connection: sqlite3.Connection) -> list[FaceRow]:
    """All faces in an order that does not depend on when their photos came: by content and place.

    Raises:
        sqlite3.DatabaseError: a row is not as it was written, or one is missing.
    """
    members = read_members(connection)
    rows = connection.execute(
        "SELECT id, digest, box, sharpness, vector, checksum FROM faces ORDER BY digest, id"
    )
    faces = []
    for number, digest, box, sharpness, vector in (unsealed("faces", row) for row in rows):
        person, is_settled = members.get(number, (None, False))
        values = np.frombuffer(vector, VECTOR).astype(np.float32)
        faces.append(
            FaceRow(
                box=tuple(json.loads(box)),
                sharpness=sharpness,
                vector=values,
                thumbnail=b"",
                id=number,
                photo=digest,
                person=person,
                is_settled=is_settled,
            )
        )
    _check_counts(connection, faces)
    return faces


def _check_counts(connection: sqlite3.Connection, faces: Iterable[FaceRow]) -> None:
    counts: dict[str, int] = {}
    for face in faces:
        counts[face.photo] = counts.get(face.photo, 0) + 1
    rows = connection.execute("SELECT digest, faces, checksum FROM photos")
    for digest, count in (unsealed("photos", row) for row in rows):
        if counts.pop(digest, 0) != count:
            raise sqlite3.DatabaseError(f"photo {digest[:12]} had {count} faces, and has another number now")


def read_thumbnails(connection: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    """The number of each face, and its picture."""
    rows = connection.execute("SELECT face, jpeg, checksum FROM thumbnails ORDER BY face")
    yield from (unsealed("thumbnails", row) for row in rows)


def read_people(connection: sqlite3.Connection) -> dict[int, str | None]:
    """The number of each person, and the name if there is one."""
    rows = connection.execute("SELECT id, name, checksum FROM people ORDER BY id")
    return dict(unsealed("people", row) for row in rows)


def add_person(connection: sqlite3.Connection) -> int:
    """Make a person without a name; their number is nobody's else, then or later."""
    (last,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'people'"
    ).fetchone()
    connection.execute("INSERT INTO people VALUES (?, ?, ?)", sealed("people", last + 1, None))
    return int(last) + 1


def name_person(connection: sqlite3.Connection, person: int, name: str) -> None:
    """Give a person a name, which is known to be nobody's else."""
    row = sealed("people", person, name)
    connection.execute("UPDATE people SET name = ?2, checksum = ?3 WHERE id = ?1", row)


def forget_empty_people(connection: sqlite3.Connection) -> None:
    """Forget the people of whom no face is left."""
    connection.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM members)")


def read_members(connection: sqlite3.Connection) -> dict[int, tuple[int, bool]]:
    """The number of each face that is somebody's: whose, and whether a user said so."""
    rows = connection.execute("SELECT face, person, is_settled, checksum FROM members")
    return {face: (person, bool(fixed)) for face, person, fixed in (unsealed("members", row) for row in rows)}


def write_members(
    connection: sqlite3.Connection, faces: Iterable[int], *, person: int, is_settled: bool
) -> None:
    """Give faces to a person; what was said of them before is overwritten."""
    rows = (sealed("members", face, person, int(is_settled)) for face in faces)
    connection.executemany("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?)", rows)


def read_refusals(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """Pairs of a face and a person of whom a user said that it is not theirs."""
    rows = connection.execute("SELECT face, person, checksum FROM refusals ORDER BY face, person")
    return [(face, person) for face, person in (unsealed("refusals", row) for row in rows)]


def add_refusals(connection: sqlite3.Connection, faces: Iterable[int], *, person: int) -> None:
    """Keep in mind that these faces are not this person's."""
    rows = (sealed("refusals", face, person) for face in faces)
    connection.executemany("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?)", rows)
