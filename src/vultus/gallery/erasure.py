"""Erasing a person, and proving it.

Erasing goes further than removing. In one transaction the person, their templates and crops are deleted and
overwritten, and the audit log keeps what was done and when, but neither their id nor their name. Then the
file is written anew (VACUUM) and the write-ahead log is emptied: no free page, index entry or log page is
left.

The proof is a search of every file of the gallery, byte by byte, for the id and for fragments of the vectors
and crops, as they were stored and as they were before encryption. A fragment is 16 bytes, taken every 32, so
whatever piece of 48 bytes had survived would be found, across page borders too.

What no program can promise: that a disk, a snapshot or a backup keeps no older copy of a file.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np

from vultus.errors import GalleryError, InputError
from vultus.gallery.engine import DurableGallery
from vultus.gallery.journal import forget_changes, note_gallery, read_audit, save_entry
from vultus.gallery.other_vectors import read_others
from vultus.gallery.refusals import nobody
from vultus.gallery.rows import PersonRow, delete_person, read_crop, read_people, read_templates
from vultus.gallery.sqlite import SqliteGallery
from vultus.gallery.vault import vault_of
from vultus.sqlite import chunks_of

FRAGMENT: Final = 16  # bytes
STEP: Final = 32
CHUNK: Final = 1 << 22  # of a file, in memory at once
_HEADER, _TRAILER = 64, 24  # of a PNG: equal in many pictures


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased, and what the search for it found.

    Attributes:
        identity_id: of the person who was erased; the only place where it still stands is here.
        templates: how many were deleted.
        fragments: how many different pieces were searched for.
        searched: every file that was searched, with its size in bytes.
        found: where something still stands, in words; empty is the proof.
        is_log_empty: whether the file could be written anew and its log emptied; not while others read.
    """

    identity_id: str
    templates: int
    fragments: int
    searched: tuple[tuple[str, int], ...]
    found: tuple[str, ...]
    is_log_empty: bool

    @property
    def is_proven(self) -> bool:
        """Whether nothing of the person is left in the files that were searched."""
        return not self.found


@runtime_checkable
class ErasingGallery(Protocol):
    """A gallery in a server that erases with proof."""

    def erase(self, identity_id: str) -> Erasure:
        """Erase a person, and search for whatever may be left."""
        ...


def erase_anywhere(gallery: DurableGallery, identity_id: str, *, also_search: Sequence[Path] = ()) -> Erasure:
    """Erase a person from a gallery in a file or in a server, and search for whatever may be left.

    Args:
        gallery: opened for writing.
        identity_id: whom.
        also_search: as for `erase`, of a gallery in a file.

    Raises:
        InputError: an engine that cannot prove it, or other files beside one in a server.
        GalleryError: as `erase`.
    """
    if isinstance(gallery, SqliteGallery):
        return erase(gallery, identity_id, also_search=also_search)
    if not isinstance(gallery, ErasingGallery):
        raise InputError(
            "erasing with proof works in files and in PostgreSQL; here remove the person, whose rows go when "
            "the server compacts its segments"
        )
    if also_search:
        raise InputError("other files are searched for a gallery in a file only; a server has its tables")
    return gallery.erase(identity_id)


def erase(gallery: SqliteGallery, identity_id: str, *, also_search: Sequence[Path] = ()) -> Erasure:
    """Erase a person from a gallery file, and search for whatever may be left.

    Args:
        gallery: opened for writing.
        identity_id: whom.
        also_search: other files that might hold them: exports, backups, copies. They are only read.

    Raises:
        GalleryError: no such person, a row of theirs is damaged or cannot be decrypted, or one of the files
            cannot be searched.
    """
    database = gallery.database
    with database.writing() as connection:
        person = next(read_people(connection, "id = ?", identity_id), None)
        if person is None:
            raise nobody(identity_id, where=gallery.path)
        needles = {identity_id.encode(), *_fragments(connection, person, path=gallery.path)}
        deleted = delete_person(connection, person)
        _anonymise(connection, person)
        connection.execute("DELETE FROM settings WHERE name GLOB ?", (f"*{person.id}*",))
        forget_changes(connection)
        note_gallery(connection, "erase", actor=gallery.actor, detail=f"1 person, {deleted} templates")
    return replace(_search(gallery, needles, also_search), identity_id=identity_id, templates=deleted)


def _search(gallery: SqliteGallery, needles: set[bytes], also_search: Sequence[Path]) -> Erasure:
    try:
        is_log_empty = gallery.database.compact()
    except GalleryError:  # others keep the file busy; the search tells what that leaves behind
        is_log_empty = False
    path = gallery.database.path
    beside = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
    files = [file for file in beside if file.exists()] + list(also_search)
    found = tuple(place for file in files for place in find_fragments(file, needles))
    sizes = tuple((str(file), file.stat().st_size) for file in files)
    return Erasure("", 0, len(needles), sizes, found, is_log_empty)


def _fragments(connection: sqlite3.Connection, person: PersonRow, *, path: Path) -> Iterator[bytes]:
    """Pieces of everything that shows this person, as stored and as it was before encryption."""
    for row in read_templates(connection, "identity_id = ?", person.id):
        crop = read_crop(connection, row)
        plain, plain_crop = vault_of(connection).opened(row, crop)
        others = list(read_others(connection, row.id, path=path))
        opened = [vault_of(connection).opened(other, None)[0] for other in others]
        for vector in {one.vector for one in (row, plain, *others, *opened)}:
            yield from fragments(vector)
        for picture in {crop, plain_crop} - {None}:
            yield from fragments((picture or b"")[_HEADER:-_TRAILER])


def fragments(value: bytes) -> Iterator[bytes]:
    """Pieces of a value that are hardly to be found elsewhere: runs of one byte are left out."""
    for start in range(0, len(value) - FRAGMENT + 1, STEP):
        piece = value[start : start + FRAGMENT]
        if len(set(piece)) >= FRAGMENT // 2:
            yield piece


def find_fragments(file: Path, needles: set[bytes]) -> list[str]:
    """Where in a file one of these stands, in words: the first few places.

    The first eight bytes at every offset are compared with those of all needles at once.

    Raises:
        GalleryError: the file cannot be read.
    """
    heads = np.unique(np.array([np.frombuffer(one[:8], "<u8")[0] for one in needles], np.uint64))
    overlap, offset, places = max(len(one) for one in needles) - 1, 0, []
    try:
        tail = b""
        for chunk in chunks_of(file, size=CHUNK):
            data = tail + chunk
            places += [offset - len(tail) + at for at in _hits(data, heads, needles)]
            tail, offset = data[-overlap:], offset + len(chunk)
    except OSError as error:
        raise GalleryError(f"{file} cannot be searched: {error}") from error
    return [f"{file}, byte {place:,}" for place in sorted(set(places))[:10]]


def _hits(data: bytes, heads: np.ndarray[tuple[int], np.dtype[np.uint64]], needles: set[bytes]) -> list[int]:
    hits: list[int] = []
    for shift in range(min(8, len(data))):
        words = np.frombuffer(data[shift : shift + (len(data) - shift) // 8 * 8], "<u8")
        candidates = shift + 8 * np.flatnonzero(np.isin(words, heads))
        sizes = {len(one) for one in needles}
        hits += [int(at) for at in candidates if any(data[at : at + size] in needles for size in sizes)]
    return hits


def _anonymise(connection: sqlite3.Connection, person: PersonRow) -> None:
    """What was done stays in the audit log, to whom does not."""
    for entry in list(read_audit(connection)):
        told = replace(entry, detail="erased") if person.id in entry.detail else entry
        if entry.identity_id == person.id:
            told = replace(entry, identity_id="", name="", detail="erased")
        if told is not entry:
            connection.execute("DELETE FROM audit WHERE seq = ?", (entry.seq,))
            save_entry(connection, told)
