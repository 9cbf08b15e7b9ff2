"""A gallery by its address, whichever engine keeps it."""

from os import PathLike, fspath
from pathlib import Path
from urllib.parse import urlsplit

from vultus.errors import GalleryError, InputError
from vultus.gallery.engine import DurableGallery
from vultus.gallery.sqlite import SqliteGallery

POSTGRES_SCHEMES = ("postgresql", "postgres")
MILVUS_SCHEMES = ("milvus", "http", "https")


def is_address(gallery: str | PathLike[str]) -> bool:
    """Whether this names a gallery in a server, rather than a file."""
    return isinstance(gallery, str) and "://" in gallery


def open_gallery(
    gallery: str | PathLike[str],
    *,
    contract: str | None = None,
    keep_crops: bool = True,
    read_only: bool = False,
    create: bool = True,
    actor: str = "",
) -> DurableGallery:
    """Open the gallery in a file, or in a server.

    Args:
        gallery: the path of an SQLite file; `postgresql://user@host:5432/database?gallery=NAME`; or
            `milvus://host:19530?gallery=NAME` (also `http://` and `https://`, or `milvus:///path` for
            Milvus Lite).
        contract: of the embeddings that will come; None takes what is stored.
        keep_crops: store the aligned crops, so that another embedder can re-embed them later.
        read_only: refuse every change.
        create: make an empty gallery where there is none.
        actor: who makes the changes, for the audit log.

    Raises:
        InputError: an address of no known form.
        MissingExtraError: the engine's library is not installed.
        GalleryError: the gallery cannot be opened, or has another contract.
    """
    text = fspath(gallery)
    if not is_address(gallery):
        if not create and not Path(text).exists():
            raise GalleryError(
                f"there is no gallery at {text}: enrol somebody first (vultus enrol), or name another "
                "(--gallery)"
            )
        return SqliteGallery(text, contract=contract, keep_crops=keep_crops, read_only=read_only, actor=actor)
    scheme = urlsplit(text).scheme
    if scheme in POSTGRES_SCHEMES:
        from vultus.gallery.postgres import PostgresGallery

        return PostgresGallery(
            text,
            contract=contract,
            keep_crops=keep_crops,
            read_only=read_only,
            create=create,
            actor=actor,
        )
    if scheme in MILVUS_SCHEMES:
        from vultus.gallery.milvus import MilvusGallery

        return MilvusGallery(
            text,
            contract=contract,
            keep_crops=keep_crops,
            read_only=read_only,
            create=create,
            actor=actor,
        )
    raise InputError(
        f"a gallery is a file or an address that begins with postgresql:// or milvus://, got {scheme}://"
    )
