"""Between the `Template` that callers have and the row that is stored."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vultus.errors import InputError, ShapeError
from vultus.gallery.damage import damaged_crop, damaged_person, damaged_template, gallery_error
from vultus.gallery.journal import now
from vultus.gallery.rows import (
    VECTOR,
    PersonRow,
    TemplateRow,
    add_template,
    is_crop_of,
    next_template_id,
    read_crop,
    read_templates,
)
from vultus.gallery.vault import vault_of
from vultus.image import decode_png, encode_png
from vultus.types import Template

MAX_SOURCE = 4096  # characters

Face = tuple[TemplateRow, bytes | None]  # a template and its crop as PNG


def encoded(template: Template, *, keep_crop: bool = True) -> Face:
    """The row and the PNG for a template that nobody owns yet: without ids and contract.

    Raises:
        InputError: a quality outside 0..1, or a source of over 4,096 characters.
    """
    if not isinstance(template, Template):
        raise InputError(f"expected a vultus.types.Template, got {type(template).__name__}")
    if not 0.0 <= template.quality <= 1.0:  # also refuses NaN
        raise InputError(f"quality must lie in 0..1, got {template.quality}")
    if len(template.source) > MAX_SOURCE:
        raise InputError(f"a source may have {MAX_SOURCE} characters, got {len(template.source)}")
    row = TemplateRow(
        id=0,
        identity_id="",
        contract="",
        dimension=len(template.embedding),
        vector=template.embedding.astype(VECTOR).tobytes(),
        quality=float(template.quality),
        source=template.source.encode(errors="backslashreplace").decode(),  # a path may not be UTF-8
        created=now(),
        crop_digest=None,
    )
    return row, encode_png(template.crop) if keep_crop and template.crop is not None else None


def encoded_all(templates: Sequence[Template], *, keep_crops: bool) -> list[Face]:
    """The same of several templates of one person.

    Raises:
        InputError: no templates, or one that cannot be stored.
        ShapeError: embeddings of different dimensions.
    """
    faces = [encoded(template, keep_crop=keep_crops) for template in templates]
    if not faces:
        raise InputError("a person is enrolled with at least one template, got none")
    dimensions = sorted({row.dimension for row, _ in faces})
    if len(dimensions) > 1:
        raise ShapeError(f"all embeddings must have one dimension, got {dimensions}")
    return faces


def decoded(row: TemplateRow, crop: bytes | None) -> Template:
    """The template of an intact row and its crop.

    Raises:
        ImageError: the crop is no PNG.
        ShapeError: the vector is not of length 1.
    """
    image = None if crop is None else decode_png(crop)
    return Template(row.embedding, crop=image, quality=row.quality, source=row.source)


def write_faces(
    connection: sqlite3.Connection, faces: Sequence[Face], *, identity_id: str, contract: str
) -> None:
    """Give faces to a person who is in the file already."""
    first = next_template_id(connection)
    for template_id, (row, crop) in enumerate(faces, start=first):
        owned = replace(row, id=template_id, identity_id=identity_id, contract=contract)
        add_template(connection, *vault_of(connection).sealed(owned, crop))


def read_faces(connection: sqlite3.Connection, person: PersonRow, *, path: Path) -> list[Face]:
    """A person's templates with their crops, oldest first, each verified and decrypted.

    Raises:
        GalleryError: one is damaged or missing, or the key of an encrypted gallery is.
    """
    faces = []
    for row in read_templates(connection, "identity_id = ?", person.id):
        crop = read_crop(connection, row)
        if not row.is_intact:
            raise gallery_error(path, damaged_template(row, person.name))
        if not is_crop_of(row, crop):
            raise gallery_error(path, damaged_crop(row, person.name))
        faces.append(vault_of(connection).opened(row, crop))
    check_count(person, len(faces), path=path)
    return faces


def check_count(person: PersonRow, count: int, *, path: Path) -> None:
    """Notice a lost template, which leaves no row that could be found wrong.

    Raises:
        GalleryError: a person has not as many templates as were written.
    """
    if count != person.template_count:
        reason = f"{person.template_count} templates were written, there are {count}"
        raise gallery_error(path, damaged_person(person, reason))
