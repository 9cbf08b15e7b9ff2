"""False match rates over all pairs of the photos of many people.

A few thousand photos of many people hold millions of impostor pairs, enough to place a threshold at an FMR
of 1 in 10,000, where the hundreds of pairs of a verification list show nothing. The pairs share people and
photos, so the interval draws people, not pairs (`intervals.bootstrap_over_people`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.match.false_matches import threshold_at_fmr
from vultus.match.intervals import bootstrap_over_people
from vultus.types import Embeddings, FloatArray, ThresholdRates

BLOCK = 512  # rows of the similarity matrix held at once


def count_impostors(identity_index: Sequence[int]) -> int:
    """How many pairs of images of different people there are."""
    images = np.bincount(np.asarray(identity_index, dtype=np.intp))
    return int(images.sum() ** 2 - (images**2).sum()) // 2


def impostor_similarities(embeddings: Embeddings, identity_index: Sequence[int]) -> FloatArray:
    """The similarity of every two embeddings of different people, each pair once.

    Args:
        embeddings: (M, D) unit rows.
        identity_index: (M,) whose embedding it is.

    Returns:
        (K,) float32: about M^2 / 2 of them; 50,000 images fill 5 GB.
    """
    return _joined(
        pairs.similarities[~pairs.is_genuine] for pairs in _pair_blocks(embeddings, identity_index)
    )


def genuine_similarities(embeddings: Embeddings, identity_index: Sequence[int]) -> FloatArray:
    """The similarity of every two embeddings of one person, each pair once: (K,) float32."""
    return _joined(pairs.similarities[pairs.is_genuine] for pairs in _pair_blocks(embeddings, identity_index))


def rates_at(embeddings: Embeddings, identity_index: Sequence[int], *, threshold: float) -> ThresholdRates:
    """The error rates of `threshold` over all pairs.

    Raises:
        InputError: fewer than three people, or nobody with two images.
    """
    index = np.asarray(identity_index, dtype=np.intp)
    count = int(index.max()) + 1
    images = np.bincount(index, minlength=count)  # (P,)
    compared = np.outer(images, images)
    np.fill_diagonal(compared, 0)
    false_matches = np.zeros(count * count, dtype=np.int64)
    n_genuine = missed = 0
    for pairs in _pair_blocks(embeddings, identity_index):
        accepted = pairs.similarities.astype(np.float64) >= threshold
        hits = accepted & ~pairs.is_genuine
        false_matches += np.bincount(pairs.left[hits] * count + pairs.right[hits], minlength=count * count)
        n_genuine += int(pairs.is_genuine.sum())
        missed += int(np.count_nonzero(pairs.is_genuine & ~accepted))
    if n_genuine == 0:
        raise InputError("nobody has two images with a face: there is no genuine pair to miss")
    accepted_between = false_matches.reshape(count, count)
    n_impostors, n_false = int(compared.sum()) // 2, int(false_matches.sum())
    return ThresholdRates(
        threshold=threshold,
        fmr=n_false / n_impostors,
        fmr_interval=bootstrap_over_people(accepted_between + accepted_between.T, compared),
        fnmr=missed / n_genuine,
        n_false_matches=n_false,
        n_impostors=n_impostors,
        n_genuine=n_genuine,
    )


def rates_at_fmr(embeddings: Embeddings, identity_index: Sequence[int], *, fmr: float) -> ThresholdRates:
    """The lowest threshold whose false match rate is at most `fmr`, and its rates.

    Raises:
        InputError: this many impostor pairs cannot carry the asked rate.
    """
    threshold = threshold_at_fmr(impostor_similarities(embeddings, identity_index), fmr=fmr)
    return rates_at(embeddings, identity_index, threshold=threshold)


@dataclass(frozen=True, eq=False, slots=True)
class _PairBlock:
    similarities: FloatArray  # (K,)
    is_genuine: NDArray[np.bool_]  # (K,)
    left: NDArray[np.intp]  # (K,) identity index of the first
    right: NDArray[np.intp]  # (K,) and of the second


def _pair_blocks(embeddings: Embeddings, identity_index: Sequence[int]) -> Iterator[_PairBlock]:
    index = np.asarray(identity_index, dtype=np.intp)
    if embeddings.ndim != 2 or index.shape != embeddings.shape[:1]:
        raise ShapeError(
            f"expected (M, D) embeddings and M identities, got {embeddings.shape}, {index.shape}"
        )
    for start in range(0, len(embeddings), BLOCK):
        rows = embeddings[start : start + BLOCK]
        matrix = rows @ embeddings[start:].T  # (B, M - start)
        above = np.triu(np.ones(matrix.shape, dtype=bool), k=1)  # each pair once, and nobody with themselves
        left, right = np.nonzero(above)
        left_identity, right_identity = index[start + left], index[start + right]
        yield _PairBlock(matrix[above], left_identity == right_identity, left_identity, right_identity)


def _joined(pieces: Iterator[FloatArray]) -> FloatArray:
    return np.concatenate([np.zeros(0, dtype=np.float32), *pieces])
