"""An approximate index (HNSW) for one gallery, with its recall measured before it is used.

HNSW is a graph in layers in which a search walks from neighbour to neighbour towards the probe. It compares
a few thousand templates instead of all, and now and then ends beside the closest one. How often depends on
the vectors; so it is measured here, on those that are there: probes are made from stored templates, turned
away from them to the similarity that another photo of the same person commonly has, and the answer is
compared with that of a full comparison. `ef_search` is doubled until the share of right answers is enough.

The graph holds half-precision vectors, which halves its memory; whoever it finds is compared again with
full precision (`served_search.py`).

Malkov, Yashunin: Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs. 2016. https://arxiv.org/abs/1603.09320
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from psycopg import Connection
from psycopg.sql import SQL, Literal

from vultus.errors import GalleryError, InputError
from vultus.gallery.postgres_rows import Hnsw, index_name
from vultus.gallery.postgres_server import PostgresServer
from vultus.gallery.store import StoredContract
from vultus.types import Embeddings, FloatArray

PROBES = 500
PROBE_SIMILARITY = 0.6  # of a probe to the template it is made from
MAX_EF_SEARCH = 8000  # beyond, a full comparison is hardly slower
_BLOCK = 10_000  # templates held at once


def build_index(server: PostgresServer, wanted: Hnsw, *, min_recall: float, memory_mb: int) -> Hnsw:
    """Build the index of a gallery, and find the `ef_search` with which its recall is enough.

    Raises:
        InputError: settings that pgvector does not know.
        GalleryError: the gallery is empty, or the index does not reach `min_recall`; it is dropped then.
    """
    _check(wanted, min_recall)
    with server.writing() as rows:
        stored = rows.contract()
        rows.forget_index()
    if not stored.templates:
        raise GalleryError(f"gallery {server.where}: it is empty; an index is built over enrolled people")
    with server.maintenance() as connection:
        _build(connection, server.gallery_id, wanted, stored=stored, memory_mb=memory_mb)
        found = _measured(server, connection, wanted, stored=stored, min_recall=min_recall)
        if found.recall < min_recall:
            connection.execute(SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(_name(server.gallery_id)))
            raise GalleryError(
                f"gallery {server.where}: {found}, but at least {min_recall} is wanted. The index was "
                "dropped, searches stay exact; try a larger m and ef_construction"
            )
        _announce(connection, server.gallery_id, found)
    return found


def _check(wanted: Hnsw, min_recall: float) -> None:
    """The limits of pgvector itself, told before anything is dropped."""
    if not 2 <= wanted.m <= 100:
        raise InputError(f"m must lie in 2..100, got {wanted.m}")
    if not max(4, 2 * wanted.m) <= wanted.ef_construction <= 1000:
        raise InputError(f"ef_construction must lie in {2 * wanted.m}..1000, got {wanted.ef_construction}")
    if not 1 <= wanted.ef_search <= MAX_EF_SEARCH:
        raise InputError(f"ef_search must lie in 1..{MAX_EF_SEARCH}, got {wanted.ef_search}")
    if not 0.0 <= min_recall <= 1.0:
        raise InputError(f"min_recall must lie in 0..1, got {min_recall}")


def _name(gallery_id: int) -> SQL:
    return SQL(index_name(gallery_id))


def _build(
    connection: Connection, gallery_id: int, wanted: Hnsw, *, stored: StoredContract, memory_mb: int
) -> None:
    connection.execute(f"SET maintenance_work_mem = '{int(memory_mb)}MB'")
    # A build that was interrupted leaves an index that is updated but never used.
    connection.execute(SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(_name(gallery_id)))
    connection.execute(
        SQL(
            "CREATE INDEX CONCURRENTLY {name} ON vultus.templates "
            "USING hnsw ((vector::halfvec({d})) halfvec_ip_ops) "
            "WITH (m = {m}, ef_construction = {ef}) WHERE gallery_id = {gallery}"
        ).format(
            name=SQL(index_name(gallery_id).removeprefix("vultus.")),
            d=Literal(stored.dimension),
            m=Literal(wanted.m),
            ef=Literal(wanted.ef_construction),
            gallery=Literal(gallery_id),
        )
    )


def _measured(
    server: PostgresServer, connection: Connection, wanted: Hnsw, *, stored: StoredContract, min_recall: float
) -> Hnsw:
    """The index with the lowest `ef_search`, from the wanted one on, whose recall is enough, or the last."""
    probes = _probes(connection, server.gallery_id)
    best, templates = _best_similarities(connection, server.gallery_id, probes)
    found = replace(wanted, probes=len(probes), templates=templates)
    while True:
        with server.rows_with(found) as rows:
            near = [rows.nearest(probe, 1, exact=False) for probe in probes]
        answers = np.array([one[0].similarity if one else -1.0 for one in near])
        slack = stored.dimension * float(np.finfo(np.float32).eps)
        found = replace(found, recall=float(np.mean(answers >= best - slack)))
        if found.recall >= min_recall or found.ef_search >= MAX_EF_SEARCH:
            return found
        found = replace(found, ef_search=min(MAX_EF_SEARCH, 2 * found.ef_search))


def _probes(connection: Connection, gallery_id: int) -> Embeddings:
    """(N, D) unit vectors at `PROBE_SIMILARITY` to one stored template each, the same ones every time."""
    query = "SELECT vector FROM vultus.templates WHERE gallery_id = %s ORDER BY hashint8(id) LIMIT %s"
    rows = connection.execute(query, (gallery_id, PROBES), binary=True)
    chosen = np.stack([row[0].to_numpy() for row in rows]).astype(np.float64)
    aside = np.random.default_rng(0).standard_normal(chosen.shape)
    aside -= (aside * chosen).sum(axis=1, keepdims=True) * chosen
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)  # one dimension has no aside
    turned = PROBE_SIMILARITY * chosen + np.sqrt(1 - PROBE_SIMILARITY**2) * aside
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    return np.asarray(turned, np.float32)


def _best_similarities(connection: Connection, gallery_id: int, probes: Embeddings) -> tuple[FloatArray, int]:
    """(N,) the similarity of each probe to the closest of all templates, and how many those are."""
    best, count = np.full(len(probes), -1.0, np.float32), 0
    for block in _blocks(connection, gallery_id):
        best = np.maximum(best, (probes @ block.T).max(axis=1))
        count += len(block)
    return best, count


def _blocks(connection: Connection, gallery_id: int) -> Iterator[FloatArray]:
    with connection.transaction(), connection.cursor("templates", binary=True) as cursor:
        cursor.itersize = _BLOCK
        cursor.execute("SELECT vector FROM vultus.templates WHERE gallery_id = %s", (gallery_id,))
        while rows := cursor.fetchmany(_BLOCK):
            yield np.stack([row[0].to_numpy() for row in rows])


def _announce(connection: Connection, gallery_id: int, found: Hnsw) -> None:
    """From here on searches use the index."""
    connection.execute(
        "UPDATE vultus.galleries SET hnsw_m = %s, hnsw_ef_construction = %s, hnsw_ef_search = %s, "
        "hnsw_recall = %s, hnsw_probes = %s, hnsw_templates = %s WHERE id = %s",
        (found.m, found.ef_construction, found.ef_search, found.recall, found.probes, found.templates,
         gallery_id),
    )  # fmt: skip
