"""Giving a gallery to another network: every face is embedded again, while the gallery stays in use.

    reembed     makes the vectors of the new contract beside the old ones, from the stored crops. It may be
                killed at any time and called again: what is there is not made twice. Faces that are enrolled
                meanwhile are taken along.
    compare     how the answers would change: each face is searched among the others, in both sets.
    switch      puts the new vectors in the place of the old ones, all of them in one transaction. The old
                ones stay beside them, so that switching to the old contract is the way back.
    forget      deletes the vectors that are no longer wanted.

From the switch on, whoever still works with the old network gets a GalleryError that names both contracts:
vectors of two networks are never compared.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vultus.errors import GalleryError, InputError
from vultus.gallery.damage import damaged_crop, damaged_template, gallery_error
from vultus.gallery.journal import forget_changes, note_gallery
from vultus.gallery.other_vectors import (
    OtherVector,
    contracts,
    count_missing,
    delete_vectors,
    next_missing,
    read_vectors,
    save_vector,
    write_vector,
)
from vultus.gallery.rows import TemplateRow, is_crop_of, read_crop, read_templates
from vultus.gallery.settings import read_calibration
from vultus.gallery.sqlite import SqliteGallery
from vultus.gallery.vault import vault_of
from vultus.image import decode_png, load_image
from vultus.interfaces import Detector, Embedder
from vultus.types import Image, Template

BATCH: Final = 64  # faces embedded at once, and written in one transaction

CropOf = Callable[[Template], Image | None]
Progress = Callable[[int, int], None]  # how many are done, of how many that were missing


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What `reembed` did.

    Attributes:
        contract: of the new vectors.
        made: how many were made by this call; others were there already.
        without_crop: numbers of the templates of which there is no picture to embed again.
    """

    contract: str
    made: int
    without_crop: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every template has its new vector."""
        return not self.without_crop


def stored_crop(template: Template) -> Image | None:
    """The crop that was stored when the face was enrolled."""
    return template.crop


def crop_from_source(detector: Detector, embedder: Embedder) -> CropOf:
    """Cuts the face anew out of the photo that the template names, if that shows one face and no other.

    For networks that want another crop than the stored one, and for galleries that keep none.
    """

    def crop_of(template: Template) -> Image | None:
        try:
            image = load_image(template.source)
        except InputError:  # the photo has moved, or it never was a file
            return None
        faces = detector.detect(image)
        is_clear = len(faces) == 1 and bool(embedder.alignable(faces).all())
        return embedder.align(image, faces)[0] if is_clear else None

    return crop_of


def reembed(
    gallery: SqliteGallery,
    embedder: Embedder,
    *,
    crop_of: CropOf = stored_crop,
    on_progress: Progress | None = None,
) -> Reembedded:
    """Make the vectors of another contract for every template, beside those it has.

    Args:
        gallery: opened for writing; others may use it meanwhile.
        embedder: makes the new vectors.
        crop_of: gives the picture to embed.
        on_progress: told how many are done, of how many that were missing in the beginning.

    Raises:
        GalleryError: the gallery has this contract already, or a row or crop is damaged.
        ShapeError: the stored crops are not what this embedder takes; `crop_from_source` cuts others.
    """
    if gallery.contract == embedder.contract:
        raise GalleryError(
            f"gallery {gallery.path}: its vectors have the contract {embedder.contract} already"
        )
    with gallery.database.reading() as connection:
        total = count_missing(connection, embedder.contract)
    made, after = 0, 0
    without: list[int] = []
    while True:
        batch = _next_batch(gallery, embedder.contract, after=after)
        if not batch:
            return Reembedded(embedder.contract, made, tuple(without))
        after = batch[-1][0].id
        found = [(row, crop_of(template)) for row, template in batch]
        without += [row.id for row, crop in found if crop is None]
        made += _embed(gallery, embedder, [(row, crop) for row, crop in found if crop is not None])
        if on_progress is not None:
            on_progress(made, total)


def switch(gallery: SqliteGallery, contract: str) -> None:
    """Put the vectors of another contract in the place of the present ones, in one transaction.

    The present ones stay beside them, for the way back: `switch` to the old contract. Open the gallery anew
    afterwards, with the embedder it now has.

    Raises:
        GalleryError: a template has no vector of that contract (one that was enrolled since the last switch,
            or has no crop), or a row is damaged. Nothing was changed.
    """
    with gallery.database.writing() as connection:
        missing = count_missing(connection, contract)
        if missing:
            raise GalleryError(
                f"gallery {gallery.path}: {missing} templates have no vector of the contract {contract}; "
                "make them first, with the embedder of that contract (reembed)"
            )
        pairs = list(read_vectors(connection, contract, path=gallery.path))
        for present, other in pairs:
            save_vector(
                connection, OtherVector(present.id, present.contract, present.dimension, present.vector)
            )
            _replace(connection, other)
        delete_vectors(connection, contract)
        forget_changes(connection)
        note_gallery(
            connection, "switch", actor=gallery.actor, detail=f"{len(pairs)} templates to {contract}"
        )
    gallery.database.forget_deleted()


def forget(gallery: SqliteGallery, contract: str) -> int:
    """Delete the vectors of a contract that is not the gallery's own; how many there were.

    Raises:
        GalleryError: it is the gallery's own.
    """
    with gallery.database.writing() as connection:
        own = next(read_templates(connection), None)
        if own is not None and own.contract == contract:
            raise GalleryError(f"gallery {gallery.path}: {contract} is the contract that it works with")
        deleted = delete_vectors(connection, contract)
        note_gallery(connection, "forget", actor=gallery.actor, detail=f"{deleted} vectors of {contract}")
    gallery.database.forget_deleted()
    return deleted


def other_contracts(gallery: SqliteGallery) -> dict[str, int]:
    """How many vectors lie beside the gallery's own, by contract: prepared, or left for the way back."""
    with gallery.database.reading() as connection:
        return contracts(connection)


def has_calibration(gallery: SqliteGallery, contract: str) -> bool:
    """Whether a calibration for this contract is stored already, so that thresholds follow the switch."""
    with gallery.database.reading() as connection:
        return read_calibration(connection, contract, path=gallery.path) is not None


def _next_batch(gallery: SqliteGallery, contract: str, *, after: int) -> list[tuple[TemplateRow, Template]]:
    """The next templates without a vector of this contract, verified and decrypted."""
    batch = []
    with gallery.database.reading() as connection:
        for number in next_missing(connection, contract, after=after, limit=BATCH):
            (row,) = read_templates(connection, "id = ?", number)
            stored = read_crop(connection, row)
            if not row.is_intact:
                raise gallery_error(gallery.path, damaged_template(row))
            if not is_crop_of(row, stored):
                raise gallery_error(gallery.path, damaged_crop(row))
            plain, crop = vault_of(connection).opened(row, stored)
            image = None if crop is None else decode_png(crop)
            batch.append((row, Template(plain.embedding, image, quality=row.quality, source=row.source)))
    return batch


def _embed(gallery: SqliteGallery, embedder: Embedder, faces: Sequence[tuple[TemplateRow, Image]]) -> int:
    """Embed some faces and store their vectors, unless their templates have gone meanwhile."""
    if not faces:
        return 0
    vectors = embedder.embed(np.stack([crop for _, crop in faces]))
    written = 0
    with gallery.database.writing() as connection:
        for (row, _), vector in zip(faces, vectors, strict=True):
            if next(read_templates(connection, "id = ?", row.id), None) is not None:
                write_vector(connection, row, vector, contract=embedder.contract)
                written += 1
    return written


def _replace(connection: sqlite3.Connection, row: TemplateRow) -> None:
    """Write a template's vector, contract and dimension, with the checksum that belongs to them."""
    sealed = replace(row, checksum=b"").sealed()
    connection.execute(
        "UPDATE templates SET contract = ?, dimension = ?, vector = ?, checksum = ? WHERE id = ?",
        (sealed.contract, sealed.dimension, sealed.vector, sealed.checksum, sealed.id),
    )
