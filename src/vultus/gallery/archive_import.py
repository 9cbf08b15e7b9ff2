"""Reading an archive back into a gallery.

An import believes nothing: it accepts exactly the members that an export writes, every one with its SHA-256,
and every value as an enrolment would accept it; all of it, or nothing. Members that are not compressed
cannot swell, and nothing is unpacked to the disk.
"""

import json
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from vultus.errors import GalleryError, InputError
from vultus.gallery.archive import FORMAT, FORMAT_VERSION, MANIFEST, PEOPLE, TEMPLATES, VECTORS, crop_name
from vultus.gallery.contract import check_contract, contract_for
from vultus.gallery.damage import damaged_person, gallery_error
from vultus.gallery.database import Database
from vultus.gallery.encoding import Face, encoded, write_faces
from vultus.gallery.journal import note
from vultus.gallery.names import checked_metadata, checked_name, is_id, name_key
from vultus.gallery.rows import PersonRow, delete_person, read_people, save_person
from vultus.image import decode_png
from vultus.types import FloatArray, Template

OnConflict: TypeAlias = Literal["error", "skip", "replace"]

# All that parsing untrusted bytes is known to raise: zipfile, json, NumPy's header, and our own checks.
_UNUSABLE = (
    zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, MemoryError,
    ValueError, TypeError, KeyError, AttributeError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        people: how many were added, those that replaced somebody included.
        templates: how many were added.
        skipped: people of the archive who were in the gallery already, and stay as they are there.
        replaced: people of the gallery who gave way to the archive's.
    """

    people: int
    templates: int
    skipped: int
    replaced: int


@dataclass(frozen=True, slots=True)
class _Contents:
    """The verified lists of an archive; line i tells of row i of the vectors, and of crop i."""

    contract: str
    people: list[PersonRow]
    lines: list[Mapping[str, Any]]
    lines_of: Mapping[str, list[int]]
    vectors: FloatArray


def import_archive(
    database: Database,
    source: Path,
    *,
    contract: str = "",
    on_conflict: OnConflict = "error",
    keep_crops: bool = True,
    actor: str = "",
) -> Imported:
    """Add everybody in an archive, in one transaction, with the ids and times they have there.

    Args:
        database: the gallery.
        source: the archive.
        contract: that the vectors must have; empty takes the archive's, unless the gallery has another.
        on_conflict: what to do about somebody whose id or name is in the gallery already: "error" changes
            nothing at all, "skip" keeps the gallery's, "replace" takes the archive's.
        keep_crops: store the crops.
        actor: for the audit log.

    Raises:
        InputError: an unknown `on_conflict`.
        GalleryError: the archive is damaged or of another contract, or there is a conflict.
    """
    if on_conflict not in get_args(OnConflict):
        raise InputError(f"on_conflict must be one of {', '.join(get_args(OnConflict))}, got '{on_conflict}'")
    with _naming(source), zipfile.ZipFile(source) as archive:
        contents = _read(archive, n_bytes=source.stat().st_size)
        check_contract(source, stored=contents.contract, given=contract if contents.lines else "")
        added: list[PersonRow] = []
        skipped: list[PersonRow] = []
        replaced: list[PersonRow] = []
        with database.writing() as connection:
            _check_fits(connection, contents, path=database.path)
            for person in contents.people:
                present = _present(connection, person, path=database.path)
                if present and on_conflict == "skip":
                    skipped.append(person)
                    continue
                _make_room(connection, person, present, may_replace=on_conflict == "replace", actor=actor)
                replaced += present
                added.append(_add(connection, archive, contents, person, keep_crops=keep_crops))
                note(connection, added[-1], "import", actor=actor, detail=f"from {source.name}")
    database.forget_deleted()  # those who were replaced
    templates = sum(person.template_count for person in added)
    return Imported(len(added), templates, len(skipped), len(replaced))


def _check_fits(connection: sqlite3.Connection, contents: _Contents, *, path: Path) -> None:
    if contents.lines:
        dimension = contents.vectors.shape[1]
        contract_for(connection, path=path, given=contents.contract, dimension=dimension)


def _present(connection: sqlite3.Connection, person: PersonRow, *, path: Path) -> list[PersonRow]:
    """Those in the gallery who have the id or the name of this person: nobody, one, or two."""
    found = [
        *read_people(connection, "id = ?", person.id),
        *read_people(connection, "name_key = ? AND id <> ?", person.name_key, person.id),
    ]
    for one in found:
        if not one.is_intact:
            raise gallery_error(path, damaged_person(one))
    return found


def _make_room(
    connection: sqlite3.Connection,
    person: PersonRow,
    present: list[PersonRow],
    *,
    may_replace: bool,
    actor: str,
) -> None:
    names = " and ".join(f"'{one.name}' ({one.id})" for one in present)
    if present and not may_replace:
        raise GalleryError(
            f"'{person.name}' ({person.id}) cannot be imported: {names} is in the gallery already. Skip or "
            "replace those who are (on_conflict)"
        )
    if len(present) > 1:
        raise GalleryError(
            f"'{person.name}' ({person.id}) cannot be imported: it would replace two people, {names}"
        )
    for one in present:
        delete_person(connection, one)
        note(connection, one, "remove", actor=actor, detail="replaced by an import")


def _read(archive: zipfile.ZipFile, *, n_bytes: int) -> _Contents:
    _check_stored(archive, n_bytes)
    manifest = json.loads(archive.read(MANIFEST))
    if [manifest["format"], manifest["version"]] != [FORMAT, FORMAT_VERSION]:
        raise InputError(
            f"expected {FORMAT} {FORMAT_VERSION}, got {manifest['format']} {manifest['version']}"
        )
    contract = manifest["contract"]
    if not isinstance(contract, str):
        raise InputError(f"the contract must be text, got {contract!r}")
    data = {name: archive.read(name) for name in (PEOPLE, TEMPLATES, VECTORS)}
    for name, content in data.items():
        _check_digest(name, content, manifest["sha256"][name])
    people = [_person(json.loads(line)) for line in data[PEOPLE].splitlines()]
    lines = [json.loads(line) for line in data[TEMPLATES].splitlines()]
    lines_of: dict[str, list[int]] = {person.id: [] for person in people}
    for index, line in enumerate(lines):
        lines_of[line["person"]].append(index)
    _check_unique(people)
    _check_names(archive, lines)
    vectors = _vectors(data[VECTORS], (len(lines), manifest["dimension"]))
    return _Contents(contract, people, lines, lines_of, vectors)


def _check_stored(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Without compression and overlap, members together are no larger than the file."""
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise InputError("its members must be stored, not compressed")
    if sum(member.file_size for member in members) > n_bytes:
        raise InputError("its members overlap, or claim to be larger than the file")


def _check_names(archive: zipfile.ZipFile, lines: list[Mapping[str, Any]]) -> None:
    crops = [crop_name(index) for index, line in enumerate(lines) if line["crop"] is not None]
    expected = sorted([MANIFEST, PEOPLE, TEMPLATES, VECTORS, *crops])
    if sorted(archive.namelist()) != expected:
        wrong = sorted(set(archive.namelist()) ^ set(expected)) or ["one of them twice"]
        raise InputError(f"it has not the members that belong to it: {', '.join(wrong[:5])}")


def _check_digest(name: str, content: bytes, expected: object) -> None:
    if sha256(content).hexdigest() != expected:
        raise InputError(f"{name} is not what was exported (SHA-256)")


def _check_unique(people: list[PersonRow]) -> None:
    for what in ({person.id for person in people}, {person.name_key for person in people}):
        if len(what) != len(people):
            raise InputError("two of its people have one id or one name")


def _person(entry: Mapping[str, Any]) -> PersonRow:
    name = checked_name(entry["name"])
    if not is_id(entry["id"]):
        raise InputError(f"{entry['id']!r} is no id")
    datetime.fromisoformat(entry["created"])
    metadata = checked_metadata(entry["metadata"])
    return PersonRow(entry["id"], name, name_key(name), metadata, entry["created"], 0)


def _vectors(data: bytes, shape: tuple[int, int]) -> FloatArray:
    """The matrix, whose size is known before anything is allocated for it."""
    stream = BytesIO(data)
    np.lib.format.read_magic(stream)
    described, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if described != shape or is_fortran or dtype != np.dtype("<f4"):
        raise InputError(f"expected vectors of shape {shape}, float32, got {described}, {dtype}")
    return np.frombuffer(data[stream.tell() :], np.dtype("<f4")).reshape(shape).astype(np.float32, copy=False)


def _add(
    connection: sqlite3.Connection,
    archive: zipfile.ZipFile,
    contents: _Contents,
    person: PersonRow,
    *,
    keep_crops: bool,
) -> PersonRow:
    faces = [_face(archive, contents, index) for index in contents.lines_of[person.id]]
    row = replace(person, template_count=len(faces))
    save_person(connection, row)
    kept = [(face, crop if keep_crops else None) for face, crop in faces]
    write_faces(connection, kept, identity_id=row.id, contract=contents.contract)
    return row


def _face(archive: zipfile.ZipFile, contents: _Contents, index: int) -> Face:
    line = contents.lines[index]
    crop = None if line["crop"] is None else archive.read(crop_name(index))
    if crop is not None:
        _check_digest(crop_name(index), crop, line["crop"])
        decode_png(crop)  # refuses what templates() could not give back
    template = Template(contents.vectors[index], quality=line["quality"], source=line["source"])
    datetime.fromisoformat(line["created"])
    row, _ = encoded(template)
    return replace(row, created=line["created"]), crop


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what a damaged or hostile file makes others raise into a GalleryError that names it."""
    try:
        yield
    except _UNUSABLE as error:
        reason = f"{type(error).__name__}: {error}"
        raise GalleryError(f"archive {path}: it cannot be imported, nothing was changed. {reason}") from error
