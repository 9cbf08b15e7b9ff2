"""Looking through a folder of photos: only what is new or changed is opened, what is gone is forgotten.

1. A file whose size and times are those of the last run is taken to hold what it held then. Any other is
   read, and known by its content (SHA-256): one that was only moved, copied or touched is not looked at.
2. In each new content faces are found and embedded. Each photo is kept at once, in a transaction of its own:
   a run that was killed goes on where it was.
3. In one more transaction the list of files becomes that of the folder, and photos that are in none of them
   are forgotten, faces, thumbnails and all. What a user said of a face in a file that was *edited* goes over
   to the same face in the new content: tagging photos changes their bytes, and must not cost a name.

A file that cannot be read is told of, and what was known of it stays; one whose bytes can be read and are no
image any more has been replaced, and its old content goes.
"""

import hashlib
import sqlite3
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from vultus.cluster.rows import (
    FaceRow,
    FileRow,
    FoundFace,
    add_photo,
    add_refusals,
    read_faces,
    read_files,
    read_photos,
    read_refusals,
    read_settings,
    replace_files,
    write_members,
    write_setting,
)
from vultus.cluster.state import PhotoState
from vultus.cluster.thumbnail import thumbnail
from vultus.errors import GalleryError, ImageError, InputError
from vultus.interfaces import Detector, Embedder
from vultus.pipeline.stream import stream
from vultus.quality import sharpnesses
from vultus.types import Detections, Image

SAME_FACE: Final = 0.6
"""From here on a face of an edited photo is the one that was there: other people in it are far below."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What became of the files of a folder.

    Attributes:
        files: how many there are.
        looked_at: photos that were opened, for being new or changed.
        added: files that were not there before.
        changed: files with another content than before.
        removed: files that are not there any more.
        failures: files that could not be read, and why.
    """

    files: int
    looked_at: int
    added: int
    changed: int
    removed: int
    failures: tuple[tuple[Path, ImageError], ...]


def scan(
    state: PhotoState,
    photos: Sequence[Path],
    *,
    folder: Path,
    detector: Detector,
    embedder: Embedder,
    on_progress: Callable[[int], None] = lambda _count: None,
) -> Scan:
    """Bring what is known of a folder up to date.

    Args:
        state: where it is kept.
        photos: the files of the folder as they are now.
        folder: which paths are kept relative to: it may move.
        detector: finds the faces.
        embedder: turns them into vectors; always the same for one collection.
        on_progress: is told how many files were just done.

    Raises:
        InputError: there is no photo at all, and there were some.
        GalleryError: the collection has vectors of another embedder, or its file is damaged.
    """
    with state.writing() as connection:
        _check_contract(read_settings(connection).get("contract"), embedder, state.path)
        write_setting(connection, "contract", embedder.contract)
        before, known = read_files(connection), read_photos(connection)
    if before and not photos:
        raise InputError(
            f"there is no photo in {folder}, where there were {len(before)}: is a drive not mounted? To "
            f"forget them all, delete {state.path}"
        )
    walk = _Walk(folder, before, known, on_progress)
    work = partial(_found, detector=detector, embedder=embedder)
    for outcome in stream(walk.unknown(photos), work, batch=1):
        path, digest = walk.under_way.popleft()
        if outcome.error:
            walk.fail(path, digest, outcome.error)
        else:
            with state.writing() as connection:
                add_photo(connection, digest, outcome.result())
        walk.looked_at += 1
        on_progress(1)
    with state.writing() as connection:
        _carry_over(connection, before, walk.now)
        replace_files(connection, walk.now)
    return walk.report(len(photos))


def _check_contract(contract: str | None, embedder: Embedder, path: Path) -> None:
    if contract not in {None, embedder.contract}:
        raise GalleryError(
            f"{path}: its faces were embedded under contract {contract}, this embedder has "
            f"{embedder.contract}; go on with the embedder of the first run, or begin anew with another file"
        )


def _found(images: Sequence[Image], *, detector: Detector, embedder: Embedder) -> list[tuple[FoundFace, ...]]:
    """The faces of each image that can be aligned, best first."""
    return [
        _faces_of(image, found, embedder)
        for image, found in zip(images, detector.detect_batch(images), strict=True)
    ]


def _faces_of(image: Image, found: Detections, embedder: Embedder) -> tuple[FoundFace, ...]:
    faces = found[embedder.alignable(found)]
    crops = embedder.align(image, faces)
    rows = zip(faces, embedder.embed(crops), sharpnesses(crops), strict=True)
    return tuple(
        FoundFace(_corners(face), round(float(sharpness), 4), vector, thumbnail(image, face))
        for face, vector, sharpness in rows
    )


def _corners(face: Detections) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(value), 2) for value in face.boxes[0])
    return x1, y1, x2, y2


class _Walk:
    """One walk through the files: which of them hold what, and whose content nobody has seen yet."""

    def __init__(
        self,
        folder: Path,
        before: Mapping[str, FileRow],
        known: set[str],
        on_progress: Callable[[int], None],
    ) -> None:
        self.now: dict[str, FileRow] = {}
        self.under_way: deque[tuple[Path, str]] = deque()
        self.looked_at = 0
        self._folder, self._before, self._known = folder, before, set(known)
        self._on_progress = on_progress
        self._failures: list[tuple[Path, ImageError]] = []

    def unknown(self, photos: Iterable[Path]) -> Iterator[bytes]:
        """The bytes of every file that has to be looked at; it stands in `under_way` from then on."""
        for path in photos:
            name = path.relative_to(self._folder).as_posix()
            known = self._before.get(name)
            try:
                stamp = _stamp(path)  # before the bytes: a file written meanwhile has another one next time
                if known is not None and known.stamp == stamp:
                    data, digest = None, known.digest
                else:
                    data = path.read_bytes()
                    digest = hashlib.sha256(data).hexdigest()
            except OSError as error:
                reason = ImageError(f"{str(path)!r} cannot be read: {error.strerror or error}")
                self._failures.append((path, reason))
                if known is not None:
                    self.now[name] = known
                self._on_progress(1)
                continue
            self.now[name] = FileRow(digest, stamp)
            if data is None or digest in self._known:
                self._on_progress(1)
                continue
            self._known.add(digest)
            self.under_way.append((path, digest))
            yield data

    def fail(self, path: Path, digest: str, error: ImageError) -> None:
        """Keep in mind that these bytes are no image that can be read, wherever they lie."""
        self._failures.append((path, error))
        self.now = {name: row for name, row in self.now.items() if row.digest != digest}

    def report(self, files: int) -> Scan:
        """What became of the files."""
        both = self.now.keys() & self._before.keys()
        return Scan(
            files=files,
            looked_at=self.looked_at,
            added=len(self.now.keys() - both),
            changed=sum(self.now[name].digest != self._before[name].digest for name in both),
            removed=len(self._before.keys() - both),
            failures=tuple(self._failures),
        )


def _stamp(path: Path) -> str:
    """Size and times: of a file that has the same ones, the content is not read again."""
    about = path.stat()
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"


def _carry_over(
    connection: sqlite3.Connection, before: Mapping[str, FileRow], now: Mapping[str, FileRow]
) -> None:
    """What is known of the faces of an edited photo goes over to the same faces in its new content."""
    kept = {row.digest for row in now.values()}
    edited = {
        (row.digest, now[path].digest)
        for path, row in before.items()
        if row.digest not in kept and path in now
    }
    if not edited:
        return
    faces: dict[str, list[FaceRow]] = defaultdict(list)
    for face in read_faces(connection):
        faces[face.photo].append(face)
    refused = read_refusals(connection)
    for old, new in sorted(edited):
        for was, became in _same_faces(faces[old], faces[new]):
            if was.person is not None and became.person is None:
                write_members(connection, [became.id], person=was.person, is_settled=was.is_settled)
            for person in (person for face, person in refused if face == was.id):
                add_refusals(connection, [became.id], person=person)


def _same_faces(old: Sequence[FaceRow], new: Sequence[FaceRow]) -> Iterator[tuple[FaceRow, FaceRow]]:
    """Pairs of faces that are one, the closest first, none of them twice."""
    if not old or not new:
        return
    scores = np.stack([face.vector for face in old]) @ np.stack([face.vector for face in new]).T
    while scores.max() >= SAME_FACE:
        row, column = divmod(int(scores.argmax()), len(new))
        yield old[row], new[column]
        scores[row], scores[:, column] = -np.inf, -np.inf
