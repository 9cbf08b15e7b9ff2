"""Encrypting a gallery, and changing its key: while others use it, and through any crash.

Both work alike. First one transaction stores the new data key, wrapped for the user's (new) key: from then
on new rows are sealed with it. Then all other rows are sealed anew, some hundred to a transaction; each says
itself which key it needs, so a run that was killed is simply taken up again. When none is left, the old data
key is deleted, and the file is written anew without any trace of the old rows.
"""

import sqlite3
from dataclasses import astuple

from vultus.errors import GalleryError
from vultus.gallery.damage import damaged_template, gallery_error
from vultus.gallery.database import Database
from vultus.gallery.journal import note_gallery
from vultus.gallery.other_vectors import OtherVector, read_others, save_vector
from vultus.gallery.rows import digest, read_crop, read_templates
from vultus.gallery.settings import write_setting
from vultus.gallery.sqlite import SqliteGallery
from vultus.gallery.vault import SETTING, DataKeys, key_number

BATCH = 256  # templates sealed in one transaction


def encrypt(gallery: SqliteGallery, key: bytes) -> None:
    """Seal every vector and crop with a key of the user's, and whatever is enrolled from now on.

    Whoever has the file open goes on; whoever opens it needs the key. A run that was interrupted is finished
    by calling this again.

    Args:
        gallery: opened for writing.
        key: 32 bytes, kept somewhere safe: without it nobody reads the gallery again.

    Raises:
        GalleryError: it is encrypted with another key already, or a row is damaged.
    """
    database = gallery.database
    database.vault.use(key)
    with database.writing() as connection:
        if not database.vault.is_encrypted:
            write_setting(connection, SETTING, DataKeys.new().to_json(key))
            note_gallery(connection, "encrypt", actor=gallery.actor)
    _finish(gallery)


def rotate_key(gallery: SqliteGallery, key: bytes) -> None:
    """Change the user's key and the data key under it; every row is sealed anew.

    A run that was interrupted is finished by calling this again, with the gallery opened by the new key.

    Args:
        gallery: opened for writing, with the key it has.
        key: the new one.

    Raises:
        GalleryError: the gallery is not encrypted, or a row is damaged.
    """
    database = gallery.database
    with database.writing() as connection:
        keys = database.vault.keys()
        if key != database.vault.user_key:  # else an interrupted run, to be finished
            write_setting(connection, SETTING, keys.with_another().to_json(key))
            note_gallery(connection, "rotate_key", actor=gallery.actor)
    database.vault.use(key)
    _finish(gallery)


def is_finished(gallery: SqliteGallery) -> bool:
    """Whether no encryption or rotation was left half done.

    Raises:
        GalleryError: the key is missing.
    """
    with gallery.database.reading():
        vault = gallery.database.vault
        return not vault.is_encrypted or (vault.keys().is_whole and len(vault.keys().keys) == 1)


def _finish(gallery: SqliteGallery) -> None:
    """Seal with the active key whatever is not, and forget the other keys."""
    database = gallery.database
    last: int | None = 0
    while last is not None:
        last = _seal_some(database, after=last)
    key = database.vault.user_key
    with database.writing() as connection:
        keys = database.vault.keys()
        if key is not None and (len(keys.keys) > 1 or not keys.is_whole):
            write_setting(connection, SETTING, keys.only_active().to_json(key))
    database.compact()


def _seal_some(database: Database, *, after: int) -> int | None:
    """Seal the next rows; the number of the last one, or None when all are done."""
    with database.writing() as connection:
        query = "SELECT id FROM templates WHERE id > ? ORDER BY id LIMIT ?"
        numbers: list[int] = [row[0] for row in connection.execute(query, (after, BATCH))]
        for number in numbers:
            _seal_one(connection, number, database=database)
    return numbers[-1] if numbers else None


def _seal_one(connection: sqlite3.Connection, number: int, *, database: Database) -> None:
    vault = database.vault
    for other in list(read_others(connection, number, path=database.path)):
        if key_number(other) != vault.keys().active:
            sealed, _ = vault.sealed(*vault.opened(other, None))
            save_vector(connection, OtherVector(number, sealed.contract, sealed.dimension, sealed.vector))
    (row,) = read_templates(connection, "id = ?", number)
    if not row.is_intact:
        raise gallery_error(database.path, damaged_template(row))
    if key_number(row) == vault.keys().active:
        return
    sealed, crop = vault.sealed(*vault.opened(row, read_crop(connection, row)))
    values = (sealed.vector, crop, None if crop is None else digest("crop", blob=crop))
    query = "UPDATE templates SET vector = ?, crop = ?, crop_digest = ? WHERE id = ?"
    connection.execute(query, (*values, number))
    (written,) = read_templates(connection, "id = ?", number)
    connection.execute(
        "UPDATE templates SET checksum = ? WHERE id = ?", (astuple(written.sealed())[-1], number)
    )


def check_finished(gallery: SqliteGallery) -> None:
    """Refuse to go on with a gallery whose encryption was left half done.

    Raises:
        GalleryError: it was.
    """
    if not is_finished(gallery):
        raise GalleryError(
            f"gallery {gallery.path}: its encryption was interrupted; finish it first, by the same command"
        )
