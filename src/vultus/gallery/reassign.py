"""Putting templates right: two people who are one, and a photo that stands under a wrong name."""

import sqlite3
from dataclasses import replace

from vultus.errors import GalleryError, InputError
from vultus.gallery.damage import damaged_person, gallery_error
from vultus.gallery.encoding import Face, read_faces, write_faces
from vultus.gallery.journal import note
from vultus.gallery.refusals import check_removable, nobody
from vultus.gallery.rows import PersonRow, delete_person, read_people, save_person
from vultus.gallery.sqlite import SqliteGallery
from vultus.types import Identity


def merge(gallery: SqliteGallery, kept_id: str, other_id: str) -> Identity:
    """Give all templates of one person to another, and delete the one; all in one transaction.

    The kept person keeps id, name and metadata; the other's metadata goes.

    Raises:
        InputError: twice the same person.
        GalleryError: no such person, or a row is damaged.
    """
    if kept_id == other_id:
        raise InputError("a person cannot be merged with themselves: name two people")
    with gallery.database.writing() as connection:
        kept, other = _person(connection, gallery, kept_id), _person(connection, gallery, other_id)
        faces = read_faces(connection, other, path=gallery.path)
        delete_person(connection, other)
        connection.execute("DELETE FROM settings WHERE name GLOB ?", (f"different/*{other.id}*",))
        note(connection, other, "merge", actor=gallery.actor, detail=f"into '{kept.name}' ({kept.id})")
        kept = _add(connection, gallery, kept, faces)
    gallery.database.forget_deleted()
    return kept.identity()


def move_template(gallery: SqliteGallery, template_id: int, *, from_id: str, to_id: str) -> Identity:
    """Give one template to another person, in one transaction; it gets a new number there.

    Returns:
        The person who has it now.

    Raises:
        InputError: twice the same person.
        GalleryError: no such person or template, it is the person's last one (then merge them), or a row is
            damaged.
    """
    if from_id == to_id:
        raise InputError("the template is there already: name another person")
    with gallery.database.writing() as connection:
        giver, taker = _person(connection, gallery, from_id), _person(connection, gallery, to_id)
        faces = read_faces(connection, giver, path=gallery.path)
        check_removable(giver, template_id, of=[row.id for row, _ in faces])
        connection.execute("DELETE FROM templates WHERE id = ?", (template_id,))
        giver = replace(giver, template_count=giver.template_count - 1)
        save_person(connection, giver)
        detail = f"template {template_id} to '{taker.name}' ({taker.id})"
        note(connection, giver, "move_template", actor=gallery.actor, detail=detail)
        taker = _add(connection, gallery, taker, [face for face in faces if face[0].id == template_id])
    gallery.database.forget_deleted()
    return taker.identity()


def _add(
    connection: sqlite3.Connection, gallery: SqliteGallery, person: PersonRow, faces: list[Face]
) -> PersonRow:
    contracts = {row.contract for row, _ in faces}
    if len(contracts) != 1:
        raise GalleryError(
            f"gallery {gallery.path}: the templates have {len(contracts)} contracts; expected one"
        )
    person = replace(person, template_count=person.template_count + len(faces))
    save_person(connection, person)
    write_faces(connection, faces, identity_id=person.id, contract=contracts.pop())
    detail = f"{len(faces)} taken over, {person.template_count} in all"
    note(connection, person, "enrol", actor=gallery.actor, detail=detail)
    return person


def _person(connection: sqlite3.Connection, gallery: SqliteGallery, identity_id: str) -> PersonRow:
    person = next(read_people(connection, "id = ?", identity_id), None)
    if person is None:
        raise nobody(identity_id, where=gallery.path)
    if not person.is_intact:
        raise gallery_error(gallery.path, damaged_person(person))
    return person
