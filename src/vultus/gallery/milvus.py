"""A gallery in Milvus, for hundreds of millions of templates on a cluster of machines.

The same people, names, contracts, checksums and answers as in any other gallery, with what Milvus has to
offer underneath. It has no transactions, so three promises are weaker:

- A change of one person is whole or not there (see `milvus_rows.py`); a batch of people may be cut between
  two of them.
- Two clients that enrol the same new name in the same moment may make two people. `check` finds them.
- An acknowledged change is in Milvus's own log. A server keeps that on its object storage; Milvus Lite, the
  form that runs in this process, hands it to the operating system, and a power cut may lose the last ones.

Metadata and the list of a person's templates together have at most 60,000 characters.
"""

from vultus.errors import MissingExtraError

try:
    from vultus.gallery.milvus_server import MilvusServer
except ImportError as error:
    raise MissingExtraError(
        "a gallery in Milvus needs pymilvus: pip install 'vultus[milvus]' (and milvus-lite, to run without "
        "a server)"
    ) from error
from vultus.gallery.served import ServedGallery


class MilvusGallery(ServedGallery):
    """A durable `Gallery` in a Milvus server. Safe to use from several threads.

    Args:
        uri: `milvus://user:password@host:19530/database?gallery=NAME` (or `http://`, `https://`, and
            `token=` for a key), or `milvus:///folder?gallery=NAME` for Milvus Lite; without a name it is
            the gallery "default".
        contract: of the embeddings that will come. A gallery has the contract of the templates in it, so
            an empty one takes this; None takes what is stored.
        keep_crops: store the aligned crops, so that another embedder can re-embed them later.
        read_only: refuse every change.
        create: make an empty gallery where it is missing.
        actor: who makes the changes, for the audit log.

    Raises:
        InputError: no such address.
        GalleryError: the server is not there, or the gallery has another contract.
    """

    def __init__(
        self,
        uri: str,
        *,
        contract: str | None = None,
        keep_crops: bool = True,
        read_only: bool = False,
        create: bool = True,
        actor: str = "",
    ) -> None:
        super().__init__(
            MilvusServer(uri, create=create and not read_only),
            contract=contract,
            keep_crops=keep_crops,
            read_only=read_only,
            actor=actor,
        )
