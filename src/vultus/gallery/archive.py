"""A whole gallery as one file: for backups, for moving house, and for reading without Vultus.

It is a ZIP file whose members are stored, not compressed:

    manifest.json       format, version, contract, dimension, counts, SHA-256 of the next three
    people.jsonl        one person per line: id, name, metadata, created
    templates.jsonl     one template per line: person (id), quality, source, created, crop (SHA-256 or null)
    vectors.npy         (templates, dimension) float32, in the order of the lines
    crops/00000000.png  the aligned face of the first line, and so on, where it is kept

`archive_import.py` reads it back. The audit log stays with the gallery that it tells of.
"""

import json
import os
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from vultus.errors import GalleryError
from vultus.gallery.contract import first_template
from vultus.gallery.damage import damaged_person, gallery_error
from vultus.gallery.database import connect, naming
from vultus.gallery.encoding import read_faces
from vultus.gallery.rows import VECTOR, PersonRow, TemplateRow, read_people
from vultus.gallery.vault import Vault
from vultus.image import replace_file

FORMAT, FORMAT_VERSION = "vultus gallery", 1
MANIFEST, PEOPLE, TEMPLATES, VECTORS = "manifest.json", "people.jsonl", "templates.jsonl", "vectors.npy"


def crop_name(index: int) -> str:
    """The member that holds the crop of the template on this line, counted from 0."""
    return f"crops/{index:08d}.png"


def export_archive(
    source: Path, target: Path, *, vault: Vault | None = None, decrypted: bool = False
) -> None:
    """Write a gallery, as it is at this moment, into one file, which appears when it is complete.

    An existing file is replaced.

    Args:
        source: the gallery.
        target: the file.
        vault: opens what is encrypted.
        decrypted: what is encrypted in the gallery may stand in the archive for everybody to read.

    Raises:
        GalleryError: the gallery is encrypted and `decrypted` is not given, something in it is damaged, or
            `target` is the gallery itself.
        InputError: the place cannot be written.
    """
    if vault is not None and vault.is_encrypted and not decrypted:
        raise GalleryError(
            f"gallery {source}: it is encrypted, and an export is not; ask for it with decrypted=True "
            "(--decrypted), or copy the file itself while nobody has it open"
        )
    if target.exists() and target.samefile(source):
        raise GalleryError(f"gallery {source}: it cannot be exported onto itself; name another file")
    with (
        naming(source),
        closing(connect(source, read_only=True, vault=vault)) as connection,
        replace_file(target) as stream,
    ):
        Path(stream.name).chmod(0o600)  # faces: for the owner only
        connection.execute("BEGIN")  # one state of the file, whatever others write meanwhile
        with zipfile.ZipFile(stream, "w") as archive:
            _write(connection, archive, path=source)
        stream.flush()
        os.fsync(stream.fileno())


def _write(connection: sqlite3.Connection, archive: zipfile.ZipFile, *, path: Path) -> None:
    people = list(read_people(connection))
    templates: list[Mapping[str, Any]] = []
    vectors: list[bytes] = []
    for person in people:
        if not person.is_intact:
            raise gallery_error(path, damaged_person(person))
        for row, crop in read_faces(connection, person, path=path):
            if crop is not None:
                archive.writestr(_member(crop_name(len(templates))), crop)
            templates.append(_template_line(row, crop))
            vectors.append(row.vector)
    first = first_template(connection, path=path)
    dimension = 0 if first is None else first.dimension
    lists = {
        PEOPLE: _json_lines([_person_line(person) for person in people]),
        TEMPLATES: _json_lines(templates),
        VECTORS: _npy(vectors, dimension),
    }
    for name, data in lists.items():
        archive.writestr(_member(name), data)
    manifest = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "contract": "" if first is None else first.contract,
        "dimension": dimension,
        "people": len(people),
        "templates": len(templates),
        "sha256": {name: sha256(data).hexdigest() for name, data in lists.items()},
    }
    archive.writestr(_member(MANIFEST), json.dumps(manifest, indent=1))


def _member(name: str) -> zipfile.ZipInfo:
    """Stored uncompressed, for the owner only, and dated 1980: equal galleries make equal files."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    return info


def _person_line(person: PersonRow) -> Mapping[str, Any]:
    metadata = json.loads(person.metadata)
    return {"id": person.id, "name": person.name, "metadata": metadata, "created": person.created}


def _template_line(row: TemplateRow, crop: bytes | None) -> Mapping[str, Any]:
    return {
        "person": row.identity_id,
        "quality": row.quality,
        "source": row.source,
        "created": row.created,
        "crop": None if crop is None else sha256(crop).hexdigest(),
    }


def _json_lines(values: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def _npy(vectors: Sequence[bytes], dimension: int) -> bytes:
    stream = BytesIO()
    np.save(stream, np.frombuffer(b"".join(vectors), VECTOR).reshape(len(vectors), dimension))
    return stream.getvalue()
