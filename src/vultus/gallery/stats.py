"""How much a gallery holds."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from vultus.gallery.contract import first_template
from vultus.gallery.schema import VERSION


@dataclass(frozen=True, slots=True)
class GalleryStats:
    """What a gallery holds.

    Attributes:
        people: how many.
        templates: how many, of all people.
        crops: how many templates keep their aligned crop.
        contract: of all vectors; empty while there are none.
        dimension: of all vectors; 0 while there are none.
        n_bytes: size of the file and its write-ahead log, or of the tables in a server.
        schema_version: of the file, or of the tables.
        index: how a search finds people: exactly, or with which index and which measured recall.
    """

    people: int
    templates: int
    crops: int
    contract: str
    dimension: int
    n_bytes: int
    schema_version: int
    index: str = "none: every template is compared"


def read_stats(connection: sqlite3.Connection, *, path: Path) -> GalleryStats:
    """Count what is in an open gallery.

    Raises:
        GalleryError: the first template, which tells the contract, is damaged.
    """
    people: int = connection.execute("SELECT count(*) FROM people").fetchone()[0]
    counts = connection.execute("SELECT count(*), count(crop_digest) FROM templates").fetchone()
    first = first_template(connection, path=path)
    files = (path, path.with_name(f"{path.name}-wal"))
    return GalleryStats(
        people=people,
        templates=counts[0],
        crops=counts[1],
        contract="" if first is None else first.contract,
        dimension=0 if first is None else first.dimension,
        n_bytes=sum(file.stat().st_size for file in files if file.exists()),
        schema_version=VERSION,
    )
