"""How well are faces of unknown people grouped, and with which threshold and method?

    python benchmarks/clusters.py --cache /tmp/clusters
    python benchmarks/clusters.py --cache /tmp/clusters --compare

Aligned faces of the PINS and CelebA people in `data/faces` are embedded by the embedder of `vultus cluster`,
once: the cache is filled row by row, and a run that was interrupted goes on. The threshold is chosen on
people of the split `train`, as the false match rate of one pair at which average linkage has the best B-cubed
F1. Real photos are full of strangers who are there once or twice, and whom a lax threshold gives to somebody:
so every sixth person of PINS and CelebA is grouped together with every sixth of `celeba_small`, who have 1.7
faces on average. Every second person of PINS and CelebA alone is measured, too. The split `heldout`, other
people, is only ever grouped with the default of the package. `--compare` adds two other methods on the
collection with strangers: Chinese whispers, and HDBSCAN (needs scikit-learn).

Chinese whispers (Biemann 2006): every face takes the label that has the largest sum of similarities among its
neighbours (similarity >= threshold), in random order, until nothing changes.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vultus.cluster import default_min_similarity, link
from vultus.defaults import ACCURATE_EMBEDDER
from vultus.embed import load_embedder
from vultus.evaluate.clustering import ClusteringResult, clustering
from vultus.interfaces import Embedder
from vultus.match import shipped_calibration, verification_threshold
from vultus.training.data.shards import read_shards
from vultus.types import Embeddings

FMRS = (0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
WHISPERS = (0.4, 0.45, 0.5, 0.55)
SOURCES = ("pins", "celeba")
STRANGERS = ("celeba_small",)
MARGIN_PX = 8  # of the stored crops, on each side of the template
BATCH = 64


@dataclass(frozen=True, eq=False)
class Faces:
    """Embedded faces of known people."""

    embeddings: Embeddings
    identities: Sequence[str]
    sources: NDArray[np.str_]

    def of_every(self, step: int) -> "Faces":
        """Those of every so many-th person."""
        people = {name: number for number, name in enumerate(sorted(set(self.identities)))}
        rows = [row for row, name in enumerate(self.identities) if people[name] % step == 0]
        return Faces(self.embeddings[rows], [self.identities[row] for row in rows], self.sources[rows])

    def joined(self, other: "Faces") -> "Faces":
        """These and others, as one collection."""
        return Faces(
            np.concatenate([self.embeddings, other.embeddings]),
            [*self.identities, *other.identities],
            np.concatenate([self.sources, other.sources]),
        )


def embedded(
    folder: Path,
    split: str,
    *,
    embedder: Embedder,
    cache: Path,
    every: int = 1,
    sources: Sequence[str] = SOURCES,
) -> Faces:
    """The faces of every so many-th person of a split, from the cache where they are in it."""
    crops = read_shards(folder, split=split, sources=sources)
    chosen = np.flatnonzero(crops.identity_index % every == 0)
    file = cache / f"{split}-{'-'.join(sources)}-{every}-{embedder.contract}.npy"
    mode = "r+" if file.exists() else "w+"
    rows = np.lib.format.open_memmap(file, mode=mode, dtype=np.float32, shape=(len(chosen), 128))
    missing = np.flatnonzero(~rows.any(axis=1))
    inner = slice(MARGIN_PX, -MARGIN_PX)
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        faces = np.stack([crops.crop(int(chosen[row]))[inner, inner] for row in batch])
        rows[batch] = embedder.embed(faces)
        print(f"\r{split}: {len(rows) - len(missing) + start + len(batch):,} of {len(rows):,}", end="")
    print()
    names = [crops.names[crops.identity_index[row]] for row in chosen]
    return Faces(np.array(rows), names, np.array([crops.sources[row] for row in chosen]))


def whispers(embeddings: Embeddings, *, min_similarity: float, seed: int = 0) -> list[int]:
    """Chinese whispers, at most twenty times round."""
    neighbours, weights = [], []
    for row, one in enumerate(embeddings):
        scores = embeddings @ one
        scores[row] = -1.0
        near = np.flatnonzero(scores >= min_similarity)
        neighbours.append(near)
        weights.append(scores[near])
    labels, generator = np.arange(len(embeddings)), np.random.default_rng(seed)
    for _ in range(20):
        changes = 0
        for row in generator.permutation(len(embeddings)):
            if not len(neighbours[row]):
                continue
            heard, place = np.unique(labels[neighbours[row]], return_inverse=True)
            loudest = heard[np.bincount(place, weights[row]).argmax()]
            changes += int(loudest != labels[row])
            labels[row] = loudest
        if not changes:
            break
    return [int(label) for label in labels]


def hdbscan(embeddings: Embeddings) -> list[int]:
    """HDBSCAN as scikit-learn has it; each face that it calls noise is a group of its own."""
    from sklearn.cluster import HDBSCAN  # type: ignore[import-untyped]  # it ships no type information

    labels = HDBSCAN(min_cluster_size=2, copy=True).fit_predict(embeddings)
    return [int(label) if label >= 0 else -2 - row for row, label in enumerate(labels)]


def row_of(method: str, faces: Faces, group: Callable[[Embeddings], Sequence[int]]) -> dict[str, Any]:
    """One measurement: all faces are grouped together, and each source is then judged by itself, too."""
    start = time.perf_counter()
    groups = np.asarray(group(faces.embeddings))
    seconds = time.perf_counter() - start
    all_faces = clustering(faces.identities, groups.tolist())
    parts = {source: _part(faces, groups, source) for source in sorted(set(faces.sources.tolist()))}
    print(
        f"{method:34} {_told(all_faces)} | " + " | ".join(f"{key} {_f1(one)}" for key, one in parts.items())
    )
    return {"method": method, "seconds": round(seconds, 1), "all": asdict(all_faces)} | {
        key: asdict(one) for key, one in parts.items()
    }


def _part(faces: Faces, groups: NDArray[np.intp], source: str) -> ClusteringResult:
    chosen = np.flatnonzero(faces.sources == source).tolist()
    return clustering([faces.identities[row] for row in chosen], groups[chosen].tolist())


def _told(result: ClusteringResult) -> str:
    cubed, pairs = result.bcubed, result.pairwise
    return (
        f"{result.faces} faces {result.people} people {result.groups} groups | B-cubed P "
        f"{cubed.precision:.4f} R {cubed.recall:.4f} F1 {cubed.f1:.4f} | pairs P {pairs.precision:.4f} "
        f"R {pairs.recall:.4f} F1 {pairs.f1:.4f}"
    )


def _f1(result: ClusteringResult) -> str:
    return f"B-cubed F1 {result.bcubed.f1:.4f} pairs F1 {result.pairwise.f1:.4f}"


def linked(min_similarity: float) -> Callable[[Embeddings], Sequence[int]]:
    return lambda rows: link(rows, min_similarity=min_similarity).tolist()


def chosen_on(arguments: argparse.Namespace, embedder: Embedder) -> list[dict[str, Any]]:
    """The figures on the people among whom the threshold is chosen."""
    calibration = shipped_calibration(embedder.contract)
    assert calibration is not None
    parts: dict[str, Any] = {"embedder": embedder, "cache": arguments.cache}
    people = embedded(arguments.faces, "train", every=2, **parts)
    strangers = embedded(arguments.faces, "train", every=6, sources=STRANGERS, **parts)
    mixed = people.of_every(3).joined(strangers)
    rows = []
    for told, collection in (("people", people), ("with strangers", mixed)):
        for fmr in FMRS:
            least = verification_threshold(calibration, fmr=fmr).min_similarity
            rows.append(row_of(f"{told}, FMR {fmr:g} ({least:.3f})", collection, linked(least)))
    if arguments.compare:
        for least in WHISPERS:
            group = partial(whispers, min_similarity=least)
            rows.append(row_of(f"with strangers, whispers {least}", mixed, group))
        rows.append(row_of("with strangers, HDBSCAN", mixed, hdbscan))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--cache", type=Path, required=True, help="folder for the embeddings")
    parser.add_argument("--compare", action="store_true", help="measure the other methods, too")
    parser.add_argument("--splits", nargs="+", choices=["train", "heldout"], default=["train", "heldout"])
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    embedder = load_embedder(ACCURATE_EMBEDDER, threads=1)
    rows = chosen_on(arguments, embedder) if "train" in arguments.splits else []
    if "heldout" in arguments.splits:
        least = default_min_similarity(embedder)
        faces = embedded(arguments.faces, "heldout", embedder=embedder, cache=arguments.cache)
        rows.append(row_of(f"heldout, default ({least:.3f})", faces, linked(least)))
    if arguments.output:
        arguments.output.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
