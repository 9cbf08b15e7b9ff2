"""Which contract a gallery's vectors have: the one of the templates in it, so an empty gallery has none."""

import sqlite3
from pathlib import Path

from vultus.errors import GalleryError, ShapeError
from vultus.gallery.damage import damaged_template, gallery_error
from vultus.gallery.rows import TemplateRow, read_people, read_templates


def first_template(connection: sqlite3.Connection, *, path: Path) -> TemplateRow | None:
    """The oldest template, whose contract and dimension are those of all; None without any.

    Raises:
        GalleryError: it is damaged.
    """
    first = next(read_templates(connection), None)
    if first is not None and not first.is_intact:
        person = next(read_people(connection, "id = ?", first.identity_id), None)
        raise gallery_error(path, damaged_template(first, "" if person is None else person.name))
    return first


def check_contract(path: Path | str, *, stored: str, given: str) -> None:
    """Refuse to mix vectors of two contracts. An empty `given` accepts what is stored.

    Raises:
        GalleryError: they differ.
    """
    if given and stored != given:
        from vultus.embed.contract import with_owner  # here: a gallery alone loads no runtime

        raise GalleryError(
            f"gallery {path}: its vectors have the contract {with_owner(stored)}, the embedder's have "
            f"{with_owner(given)}: they do not compare. Use the embedder that filled "
            "the gallery (--embedder), give the gallery to the other one (vultus gallery migrate), or enrol "
            "the people anew"
        )


def contract_for(connection: sqlite3.Connection, *, path: Path, given: str, dimension: int) -> str:
    """The contract under which new vectors of this contract and dimension are stored.

    Raises:
        GalleryError: the gallery has another contract, or there is none to be had.
        ShapeError: the vectors in it have another dimension.
    """
    first = first_template(connection, path=path)
    if first is None:
        if not given:
            raise GalleryError(without_contract(path))
        return given
    check_contract(path, stored=first.contract, given=given)
    if dimension != first.dimension:
        raise ShapeError(
            f"expected embeddings of {first.dimension} dimensions, like those in the gallery, got {dimension}"
        )
    return first.contract


def without_contract(path: Path | str) -> str:
    """What to say where nobody told the contract of the first vectors."""
    return (
        f"gallery {path}: it is empty and was opened without a contract; open it with "
        "contract=embedder.contract, so that its vectors are never mixed with others"
    )
