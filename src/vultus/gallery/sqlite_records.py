"""People out of a gallery's file and into it, whole: for copies."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from vultus.gallery.contract import check_contract, contract_for
from vultus.gallery.damage import damaged_person, gallery_error
from vultus.gallery.database import Database, connect, naming
from vultus.gallery.encoding import read_faces, write_faces
from vultus.gallery.journal import note
from vultus.gallery.record import Record
from vultus.gallery.refusals import check_absent
from vultus.gallery.rows import PersonRow, read_people, save_person
from vultus.gallery.vault import Vault


def read_records(path: Path, *, vault: Vault | None = None) -> Iterator[Record]:
    """Everyone in a file, in order of enrolment, verified: one state of it, whatever others write meanwhile.

    Raises:
        GalleryError: something is damaged.
    """
    with naming(path), closing(connect(path, read_only=True, vault=vault)) as connection:
        connection.execute("BEGIN")
        for person in read_people(connection, "1 ORDER BY seq"):
            if not person.is_intact:
                raise gallery_error(path, damaged_person(person))
            yield Record(person, read_faces(connection, person, path=path))


def write_records(
    database: Database, records: Sequence[Record], *, contract: str, keep_crops: bool, actor: str
) -> None:
    """Add people with the ids and times they have, all in one transaction.

    Raises:
        GalleryError: an id or a name is there already, or the contract is another.
        ShapeError: vectors of another dimension than those in the gallery.
    """
    with database.writing() as connection:
        for record in records:
            check_absent(_present(connection, record.person))
            template, _ = record.faces[0]
            check_contract(database.path, stored=template.contract, given=contract)
            given, dimension = template.contract, template.dimension
            contract_for(connection, path=database.path, given=given, dimension=dimension)
            save_person(connection, record.person)
            faces = record.faces if keep_crops else record.without_crops().faces
            write_faces(connection, faces, identity_id=record.person.id, contract=given)
            note(connection, record.person, "import", actor=actor, detail=f"{len(record.faces)} copied")


def _present(connection: sqlite3.Connection, person: PersonRow) -> list[PersonRow]:
    return list(read_people(connection, "id = ? OR name_key = ?", person.id, person.name_key))
