"""Does score normalisation help? z-norm and s-norm against the plain cosine, on people unlike the cohort's.

Half of the people of a folder give the cohort, one face each; on the other half all pairs are compared. Told
are the misses at the lowest threshold of each kind of score whose false match rate is at most the stated one.

    python -m benchmarks.score_normalisation ../shared/data/lfw-dev/images
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vultus.cli.under_test import UnderTest
from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER
from vultus.evaluate import find_people, tar_at_far
from vultus.match import Cohort
from vultus.types import Embeddings

RATES = (1e-2, 1e-3, 1e-4)
NEAREST = (None, 200, 50)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="one sub-folder of images per person")
    parser.add_argument("--embedder", default=DEFAULT_EMBEDDER)
    parser.add_argument(
        "--cache", type=Path, help="keep the embeddings in this .npz file, or take them from it"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows, owners = embeddings_of(options.folder, options.embedder, options.cache)
    people = np.random.default_rng(options.seed).permutation(np.unique(owners))
    is_cohort = np.isin(owners, people[: len(people) // 2])
    _, first = np.unique(owners[is_cohort], return_index=True)
    strangers = rows[is_cohort][first]
    faces, names = rows[~is_cohort], owners[~is_cohort]
    left, right = np.triu_indices(len(faces), k=1)
    cosines = np.einsum("nd,nd->n", faces[left], faces[right])
    is_genuine = names[left] == names[right]
    print(
        f"{len(strangers)} strangers; {is_genuine.sum():,} genuine and {(~is_genuine).sum():,} impostor pairs"
    )
    report("cosine", cosines, is_genuine)
    for nearest in NEAREST:
        mean, deviation = Cohort(strangers, nearest=nearest).statistics(faces)
        z_left = (cosines - mean[left]) / deviation[left]
        z_right = (cosines - mean[right]) / deviation[right]
        which = "all" if nearest is None else f"nearest {nearest}"
        report(f"z-norm, {which}", z_left, is_genuine)
        report(f"s-norm, {which}", (z_left + z_right) / 2, is_genuine)


def embeddings_of(folder: Path, embedder: str, cache: Path | None) -> tuple[Embeddings, NDArray[np.intp]]:
    if cache is not None and cache.exists():
        with np.load(cache) as stored:
            return stored["embeddings"], stored["owners"]
    found = find_people(folder)
    embedded = UnderTest(DEFAULT_DETECTOR, embedder).embed(found.paths)
    rows, owners = embedded.embeddings[embedded.has_face], np.array(found.identity_index)[embedded.has_face]
    if cache is not None:
        np.savez(cache, embeddings=rows, owners=owners)
    return rows, owners


def report(name: str, scores: NDArray[np.floating], is_genuine: NDArray[np.bool_]) -> None:
    misses = [
        f"{1 - tar_at_far(scores[is_genuine], scores[~is_genuine], far=rate).tar:.2%} at {rate:g}"
        for rate in RATES
    ]
    print(f"{name:24} FNMR {', '.join(misses)}")


if __name__ == "__main__":
    main()
