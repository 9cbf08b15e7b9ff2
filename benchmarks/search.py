"""How long does an exact search take, and is it exact?

    python benchmarks/search.py --people 100000 --dimension 512

Random unit vectors: for an exact search they are as good as faces, since every row is compared whatever it
holds. The recall counts how many of the true first `top_k` (a float64 product with every row) were answered.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vultus.match import CosineIndex
from vultus.types import Embeddings

CHECKED = 50  # probes whose answers are compared with float64


def unit_rows(count: int, dimension: int, *, seed: int) -> Embeddings:
    """(count, dimension) random directions, made in pieces to need no second copy."""
    generator = np.random.default_rng(seed)
    rows = np.empty((count, dimension), np.float32)
    for start in range(0, count, 10_000):
        piece = rows[start : start + 10_000]
        piece[:] = generator.standard_normal(piece.shape, np.float32)
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    return rows


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def true_people(rows: Embeddings, probe: NDArray[np.float32], *, templates: int, top_k: int) -> set[str]:
    """The naive answer: the best template of each person, in float64."""
    wide = probe.astype(np.float64)
    pieces = [rows[start : start + 10_000].astype(np.float64) @ wide for start in range(0, len(rows), 10_000)]
    best = np.concatenate(pieces).reshape(-1, templates).max(axis=1)
    return {str(person) for person in np.argsort(-best)[:top_k]}


def machine() -> dict[str, str | int | None]:
    """What the figures belong to."""
    cpu = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        names = [
            line.split(":")[1].strip() for line in about.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    count, templates = arguments.people, arguments.templates
    rows = unit_rows(count * templates, arguments.dimension, seed=0)
    probes = unit_rows(max(arguments.queries, CHECKED), arguments.dimension, seed=1)
    index = CosineIndex()
    index.reserve(len(rows), arguments.dimension)
    start = time.perf_counter()
    for person in range(count):
        first = person * templates
        added = {first + i: rows[first + i] for i in range(templates)}
        index.put(str(person), f"person {person}", add=added)
    filled_s = time.perf_counter() - start

    single, product = [], []
    for probe in probes:
        single.append(milliseconds(partial(index.search, probe[np.newaxis], top_k=arguments.top_k)))
        product.append(milliseconds(partial(np.matmul, rows, probe)))
    batch = [milliseconds(lambda: index.search(probes[:32], top_k=arguments.top_k)) / 32 for _ in range(5)]
    change = [
        milliseconds(partial(index.put, str(i), f"person {i}", remove=[i * templates])) for i in range(200)
    ]
    for i in range(200):
        index.put(str(i), f"person {i}", add={i * templates: rows[i * templates]})
    found = index.search(probes[:CHECKED], top_k=arguments.top_k)
    true = [
        true_people(rows, probe, templates=templates, top_k=arguments.top_k) for probe in probes[:CHECKED]
    ]
    hits = sum(len({one.id for one in answer} & wanted) for answer, wanted in zip(found, true, strict=True))
    return {
        "people": count,
        "templates": len(rows),
        "dimension": arguments.dimension,
        "top_k": arguments.top_k,
        "single_query_median_ms": round(float(np.median(single)), 2),
        "single_query_min_ms": round(min(single), 2),
        "single_query_p95_ms": round(float(np.percentile(single, 95)), 2),
        "matrix_product_alone_median_ms": round(float(np.median(product)), 2),
        "per_query_in_batch_of_32_ms": round(float(np.median(batch)), 2),
        "template_removed_median_ms": round(float(np.median(change)), 4),
        "template_added_ms": round(filled_s * 1e3 / len(rows), 4),
        "recall": hits / sum(map(len, true)),
        "vectors_mb": round(index.n_bytes / 1e6, 1),
        "machine": machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--templates", type=int, default=1, help="per person")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments)
    if arguments.json:
        print(json.dumps(result))
        return
    for key, value in (result | result.pop("machine")).items():
        print(f"{key:30} {value}")


if __name__ == "__main__":
    main()
