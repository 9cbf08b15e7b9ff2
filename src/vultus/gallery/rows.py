"""People and templates as rows, each sealed by a checksum.

SQLite does not notice a flipped byte inside a value, so each row carries a BLAKE2b digest over all of its
fields, ids included: a changed vector, and a vector under another person's id, are both found when the row
is read. A crop has its own digest, itself sealed with the row: vectors are verified without reading crops.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from hashlib import blake2b
from typing import Self

import numpy as np

from vultus.types import FloatArray, Identity

VECTOR = np.dtype("<f4")
_JSON = json.JSONEncoder(default=bytes.hex)


def digest(*fields: object, blob: object = b"") -> bytes:
    """16 bytes that change with any field: BLAKE2b over the fields as a JSON list, a zero byte, the blob."""
    text = _JSON.encode(fields)
    tail = blob if isinstance(blob, bytes) else repr(blob).encode()  # damage may change a column's type
    return blake2b(text.encode() + b"\0" + tail, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as stored; the fields are the columns, in order."""

    id: str
    name: str
    name_key: str
    metadata: str
    created: str
    template_count: int
    checksum: bytes = b""

    def sealed(self) -> Self:
        """The same row with the checksum it should have."""
        return replace(self, checksum=self._digest())

    @property
    def is_intact(self) -> bool:
        """Whether no field changed since the row was written."""
        return self.checksum == self._digest()

    def identity(self) -> Identity:
        """The person as callers see them."""
        return Identity(self.id, self.name, json.loads(self.metadata), self.created, self.template_count)

    def _digest(self) -> bytes:
        fields = (self.id, self.name, self.name_key, self.metadata, self.created, self.template_count)
        return digest("person", *fields)


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template as stored, without its crop; the fields are the columns, in order."""

    id: int
    identity_id: str
    contract: str
    dimension: int
    vector: bytes
    quality: float
    source: str
    created: str
    crop_digest: bytes | None
    checksum: bytes = b""

    def sealed(self) -> Self:
        """The same row with the checksum it should have."""
        return replace(self, checksum=self._digest())

    @property
    def is_intact(self) -> bool:
        """Whether no field changed since the row was written. The crop is not read."""
        return self.checksum == self._digest()

    @property
    def embedding(self) -> FloatArray:
        """(D,) the vector of an intact row, read-only."""
        return np.frombuffer(self.vector, VECTOR).astype(np.float32, copy=False)

    def _digest(self) -> bytes:
        origin = (self.id, self.identity_id, self.contract, self.dimension)
        about = (self.quality, self.source, self.created, self.crop_digest)
        return digest("template", *origin, *about, blob=self.vector)


PERSON_COLUMNS = "id, name, name_key, metadata, created, template_count, checksum"
TEMPLATE_COLUMNS = (
    "id, identity_id, contract, dimension, vector, quality, source, created, crop_digest, checksum"
)


def read_people(connection: sqlite3.Connection, where: str = "1", *values: object) -> Iterator[PersonRow]:
    """People as they are stored, damaged or not."""
    query = f"SELECT {PERSON_COLUMNS} FROM people WHERE {where}"  # noqa: S608 (`where` is ours, not a user's)
    for record in connection.execute(query, values):
        yield PersonRow(*record)


def read_templates(
    connection: sqlite3.Connection, where: str = "1", *values: object
) -> Iterator[TemplateRow]:
    """Templates as they are stored, damaged or not, oldest first."""
    query = f"SELECT {TEMPLATE_COLUMNS} FROM templates WHERE {where} ORDER BY id"  # noqa: S608
    for record in connection.execute(query, values):
        yield TemplateRow(*record)


def save_person(connection: sqlite3.Connection, person: PersonRow) -> None:
    """Write a person, new or changed, with the checksum that belongs to it."""
    connection.execute(
        "INSERT INTO people (id, name, name_key, metadata, created, template_count, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "name = excluded.name, name_key = excluded.name_key, metadata = excluded.metadata, "
        "template_count = excluded.template_count, checksum = excluded.checksum",
        astuple(person.sealed()),
    )


def delete_person(connection: sqlite3.Connection, person: PersonRow) -> int:
    """Delete a person with their templates; the number of those that there were."""
    deleted = connection.execute("DELETE FROM templates WHERE identity_id = ?", (person.id,)).rowcount
    connection.execute("DELETE FROM people WHERE id = ?", (person.id,))
    return deleted


def add_template(connection: sqlite3.Connection, template: TemplateRow, crop: bytes | None) -> None:
    """Write a new template, with the checksums that belong to it and its crop."""
    sealed = replace(template, crop_digest=None if crop is None else digest("crop", blob=crop)).sealed()
    connection.execute(
        "INSERT INTO templates (id, identity_id, contract, dimension, vector, quality, source, created, "
        "crop_digest, checksum, crop) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*astuple(sealed), crop),
    )


def next_template_id(connection: sqlite3.Connection) -> int:
    """An id that no template has or had."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'templates'").fetchone()
    return 1 if row is None else row[0] + 1


def read_crop(connection: sqlite3.Connection, template: TemplateRow) -> bytes | None:
    """The PNG bytes of a template's crop, intact or not; None where none is kept."""
    query = "SELECT crop FROM templates WHERE id = ?"
    crop: bytes | None = connection.execute(query, (template.id,)).fetchone()[0]
    return crop


def is_crop_of(template: TemplateRow, crop: bytes | None) -> bool:
    """Whether these are the bytes (or the absence of any) that an intact template was written with."""
    if crop is None or template.crop_digest is None:
        return crop is template.crop_digest
    return digest("crop", blob=crop) == template.crop_digest
