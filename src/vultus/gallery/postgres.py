"""A gallery in PostgreSQL, for several machines and for millions of people.

Any PostgreSQL from version 15 with the extension pgvector from version 0.8 will do, rented or your own. A
database holds as many galleries as you like, told apart by name; none sees anything of another. Searches
run in the server. They are exact until somebody builds an index, which says what it loses: see `build_index`.
"""

from vultus.errors import MissingExtraError

try:
    from vultus.gallery.postgres_erasure import erase
    from vultus.gallery.postgres_index import build_index
    from vultus.gallery.postgres_rows import Hnsw
    from vultus.gallery.postgres_server import PostgresServer
except ImportError as error:
    raise MissingExtraError(
        "a gallery in PostgreSQL needs psycopg and pgvector: pip install 'vultus[postgres]'"
    ) from error
from vultus.gallery.erasure import Erasure
from vultus.gallery.served import ServedGallery


class PostgresGallery(ServedGallery):
    """A durable `Gallery` in a PostgreSQL database. Safe to use from several threads, and from anywhere.

    Args:
        uri: `postgresql://user@host:5432/database?gallery=NAME`, as libpq takes it; without a name it is
            the gallery "default". The password may stand in `PGPASSWORD` or in `~/.pgpass` instead.
        contract: of the embeddings that will come. A gallery has the contract of the templates in it, so
            an empty one takes this; None takes what is stored.
        keep_crops: store the aligned crops, so that another embedder can re-embed them later.
        read_only: refuse every change; neither tables nor the gallery are made.
        create: make the tables, and an empty gallery, where they are missing.
        actor: who makes the changes, for the audit log.
        connections: at most so many at once; as many threads work at the same time.
        statement_timeout_s: whatever takes longer in the server is given up.

    Raises:
        InputError: no such address.
        GalleryError: the server is not there, too old or without pgvector, or the gallery has another
            contract.
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
        connections: int = 8,
        statement_timeout_s: float = 30.0,
    ) -> None:
        self._server = PostgresServer(
            uri,
            create=create and not read_only,
            read_only=read_only,
            connections=connections,
            statement_timeout_s=statement_timeout_s,
        )
        super().__init__(
            self._server, contract=contract, keep_crops=keep_crops, read_only=read_only, actor=actor
        )

    def build_index(
        self,
        *,
        m: int = 24,
        ef_construction: int = 128,
        ef_search: int = 100,
        min_recall: float = 0.99,
        memory_mb: int = 512,
    ) -> Hnsw:
        """Make searches fast at the price of missing a few people: build an index, and measure how many.

        Worthwhile from some 100,000 templates on. Others may go on searching, exactly, and enrolling
        meanwhile. New templates join the index by themselves.

        Args:
            m: neighbours of each vector in the graph; more find more, and take more memory.
            ef_construction: candidates looked at for them; more find better ones, and take longer.
            ef_search: candidates looked at by a search. It is doubled until `min_recall` is reached.
            min_recall: the share of probes whose closest template must be found.
            memory_mb: for the server to build it in; far slower where the graph does not fit.

        Returns:
            The settings, and the recall that was measured with them.

        Raises:
            InputError: settings that pgvector does not know.
            GalleryError: the gallery is empty, or the index does not reach `min_recall`; it is dropped then.
        """
        self._check_writable()
        wanted = Hnsw(m, ef_construction, ef_search)
        return build_index(self._server, wanted, min_recall=min_recall, memory_mb=memory_mb)

    def drop_index(self) -> None:
        """Search exactly again."""
        self._check_writable()
        with self._server.writing() as rows:
            rows.forget_index()

    def erase(self, identity_id: str) -> Erasure:
        """Erase a person, and search the tables for what is left; others wait while the tables are rewritten.

        Raises:
            GalleryError: no such person, or their record is damaged.
        """
        self._check_writable()
        return erase(self._server, identity_id, actor=self._actor)
