"""Which embedder a gallery goes with: the one that its vectors come from."""

from os import PathLike
from pathlib import Path

from vultus.defaults import DEFAULT_EMBEDDER
from vultus.embed.contract import Maker, maker_of
from vultus.errors import GalleryError
from vultus.gallery import is_address, open_gallery
from vultus.interfaces import Gallery

DEFAULT = Maker(DEFAULT_EMBEDDER, flip=False)


def embedder_of(gallery: Gallery | str | PathLike[str] | None) -> Maker:
    """What made a gallery's vectors; the default for an empty gallery, and where the catalogue does not know.

    Args:
        gallery: a gallery, or the file or address of one, which need not exist.

    Raises:
        InputError: an address of no known form.
        MissingExtraError: the engine's library is not installed.
    """
    if gallery is None:
        return DEFAULT
    contract = gallery.contract if isinstance(gallery, Gallery) else _stored_contract(gallery)
    return maker_of(contract) or DEFAULT


def _stored_contract(gallery: str | PathLike[str]) -> str:
    if not is_address(gallery) and not Path(gallery).exists():
        return ""
    try:
        with open_gallery(gallery, read_only=True, create=False) as stored:
            return stored.contract
    except GalleryError:
        return ""  # whoever opens it in earnest is told what is wrong
