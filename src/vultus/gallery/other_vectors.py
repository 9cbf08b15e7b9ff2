"""A second set of vectors beside the gallery's own: of the contract that is to come, or of the one before.

Each belongs to a template and goes with it, whoever deletes it. Each is sealed by a checksum, and encrypted
as the template's own vector is.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vultus.gallery.damage import damaged_template, gallery_error
from vultus.gallery.rows import VECTOR, TemplateRow, digest, read_templates
from vultus.gallery.vault import vault_of
from vultus.types import FloatArray

_MISSING = (
    "templates.contract <> ? AND NOT EXISTS "
    "(SELECT 1 FROM other_vectors WHERE template_id = templates.id AND other_vectors.contract = ?)"
)


@dataclass(frozen=True, slots=True)
class OtherVector:
    """A vector as stored; the fields are the columns, in order."""

    template_id: int
    contract: str
    dimension: int
    vector: bytes
    checksum: bytes = b""

    @property
    def is_intact(self) -> bool:
        """Whether no field changed since it was written."""
        return self.checksum == self._digest()

    def sealed(self) -> "OtherVector":
        """The same with the checksum it should have."""
        return replace(self, checksum=self._digest())

    def _digest(self) -> bytes:
        return digest("vector", self.template_id, self.contract, self.dimension, blob=self.vector)


def write_vector(
    connection: sqlite3.Connection, template: TemplateRow, embedding: FloatArray, *, contract: str
) -> None:
    """Store another vector for a template, in place of an earlier one of that contract."""
    plain = replace(
        template, contract=contract, dimension=len(embedding), vector=embedding.astype(VECTOR).tobytes()
    )
    row, _ = vault_of(connection).sealed(plain, None)
    save_vector(connection, OtherVector(row.id, contract, row.dimension, row.vector))


def save_vector(connection: sqlite3.Connection, other: OtherVector) -> None:
    """Write a vector as it is to be stored, with the checksum that belongs to it."""
    sealed = other.sealed()
    connection.execute(
        "INSERT OR REPLACE INTO other_vectors (template_id, contract, dimension, vector, checksum) "
        "VALUES (?, ?, ?, ?, ?)",
        (sealed.template_id, sealed.contract, sealed.dimension, sealed.vector, sealed.checksum),
    )


def read_vectors(
    connection: sqlite3.Connection, contract: str, *, path: Path
) -> Iterator[tuple[TemplateRow, TemplateRow]]:
    """Each template with the same template as it is under another contract, both as stored, oldest first.

    Templates without a vector of that contract are left out.

    Raises:
        GalleryError: one is damaged.
    """
    query = (
        "SELECT template_id, contract, dimension, vector, checksum FROM other_vectors "
        "WHERE template_id = ? AND contract = ?"
    )
    where = "id IN (SELECT template_id FROM other_vectors WHERE contract = ?)"
    for template in read_templates(connection, where, contract):
        record = connection.execute(query, (template.id, contract)).fetchone()
        yield template, _checked(template, OtherVector(*record), path)


def read_others(connection: sqlite3.Connection, template_id: int, *, path: Path) -> Iterator[TemplateRow]:
    """One template as it is under each other contract, as stored.

    Raises:
        GalleryError: one is damaged.
    """
    (template,) = read_templates(connection, "id = ?", template_id)
    query = (
        "SELECT template_id, contract, dimension, vector, checksum FROM other_vectors WHERE template_id = ?"
    )
    for record in connection.execute(query, (template_id,)).fetchall():
        yield _checked(template, OtherVector(*record), path)


def _checked(template: TemplateRow, other: OtherVector, path: Path) -> TemplateRow:
    if not (template.is_intact and other.is_intact):
        raise gallery_error(path, damaged_template(template))
    return replace(template, contract=other.contract, dimension=other.dimension, vector=other.vector)


def count_missing(connection: sqlite3.Connection, contract: str) -> int:
    """How many templates have no vector of this contract, neither beside them nor as their own."""
    query = f"SELECT count(*) FROM templates WHERE {_MISSING}"  # noqa: S608 (our own words)
    count: int = connection.execute(query, (contract, contract)).fetchone()[0]
    return count


def next_missing(connection: sqlite3.Connection, contract: str, *, after: int, limit: int) -> list[int]:
    """The numbers of the next templates without a vector of this contract."""
    query = f"SELECT id FROM templates WHERE {_MISSING} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
    return [row[0] for row in connection.execute(query, (contract, contract, after, limit))]


def contracts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many vectors there are beside the templates, by contract."""
    query = "SELECT contract, count(*) FROM other_vectors GROUP BY contract ORDER BY contract"
    return dict(connection.execute(query).fetchall())


def delete_vectors(connection: sqlite3.Connection, contract: str) -> int:
    """Delete all vectors of a contract that are not the gallery's own; how many there were."""
    return connection.execute("DELETE FROM other_vectors WHERE contract = ?", (contract,)).rowcount
