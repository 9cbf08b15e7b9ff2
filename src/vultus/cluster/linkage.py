"""Average linkage with pairs that must stay apart: from unit vectors to groups.

Groups are joined as long as the mean similarity between the members of two of them reaches the threshold,
the closest two first. For unit vectors that mean needs no pair to be visited: with S the sum over a group,

    sim(A, B) = mean of cos(a, b) over a in A, b in B = (S_A . S_B) / (|A| |B|)
    sim(A, B) = -inf                 if some a in A and b in B must stay apart

Both are *reducible*: sim(A + B, C) <= max(sim(A, C), sim(B, C)). Two groups that are each other's nearest
therefore stay so, whatever is joined elsewhere, and all such pairs may be joined at once, with the result of
joining one pair after the other (Sumengen, sec. 3). For the same reason a group whose nearest is below the
threshold is finished, and only those groups look for their nearest anew that were joined, or whose nearest
was. A round is one matrix product; a collection of 10,000 faces takes about 70 rounds.

The result does not depend on the order of the rows, but for exact ties, of which the first row wins.

Murtagh: A survey of recent advances in hierarchical clustering algorithms. The Computer Journal, 1983.
https://doi.org/10.1093/comjnl/26.4.354
Sumengen, Rajagopalan, Citovsky et al.: Scaling hierarchical agglomerative clustering to billion-sized
datasets. 2021. https://arxiv.org/abs/2105.11653
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.types import Embeddings, FloatArray

BLOCK: Final = 1024  # groups compared with all others at once
Indices: TypeAlias = NDArray[np.intp]


def link(
    embeddings: Embeddings,
    *,
    min_similarity: float,
    start: Sequence[int] | Indices | None = None,
    apart: Sequence[tuple[int, int]] | Indices = (),
) -> Indices:
    """Which rows belong together.

    Args:
        embeddings: (N, D) unit rows.
        min_similarity: two groups are joined if their mean similarity is >= this.
        start: (N,) numbers; rows of one number are a group from the beginning. By default each is its own.
        apart: (K, 2) rows whose groups are never joined. A pair that `start` puts together stays together.

    Returns:
        (N,) for each row the first row of its group.

    Raises:
        ShapeError: not (N, D), not N numbers, or not pairs of rows.
        InputError: `min_similarity` is no cosine.
    """
    count = len(embeddings)
    groups, pairs = _checked(embeddings, min_similarity, start, apart)
    sums = np.zeros(embeddings.shape, np.float64)
    np.add.at(sums, groups, embeddings)
    sizes = np.bincount(groups, minlength=count)
    nearest, best = np.arange(count), np.full(count, -np.inf, np.float32)
    unfinished = stale = np.unique(groups)
    while len(unfinished) > 1:
        centres = (sums[unfinished] / sizes[unfinished, np.newaxis]).astype(np.float32)
        _look_around(stale, unfinished, centres, apart=groups[pairs], into=(nearest, best))
        unfinished = unfinished[best[unfinished] >= min_similarity]
        kept, joined = _mutual(unfinished, nearest, best)
        if not len(kept):
            break
        sums[kept] += sums[joined]
        sizes[kept] += sizes[joined]
        now = np.arange(count)
        now[joined] = kept
        groups = now[groups]
        unfinished = np.union1d(np.setdiff1d(unfinished, joined), kept)
        stale = unfinished[np.isin(nearest[unfinished], [*kept, *joined]) | np.isin(unfinished, kept)]
    return groups


def _checked(
    embeddings: Embeddings,
    min_similarity: float,
    start: Sequence[int] | Indices | None,
    apart: Sequence[tuple[int, int]] | Indices,
) -> tuple[Indices, Indices]:
    """The first row of each row's group, and the pairs in both directions."""
    if not -1.0 <= min_similarity <= 1.0:
        raise InputError(f"min_similarity is a cosine between -1 and 1, got {min_similarity}")
    if embeddings.ndim != 2:
        raise ShapeError(f"embeddings must have shape (N, D), got {embeddings.shape}")
    count = len(embeddings)
    given = np.arange(count) if start is None else np.asarray(start, np.intp)
    if given.shape != (count,):
        raise ShapeError(f"start must have shape ({count},), got {given.shape}")
    pairs = np.asarray(apart, np.intp).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= count):
        raise ShapeError(f"apart must name rows from 0 to {count - 1}, got {pairs.min()} to {pairs.max()}")
    _, first, group = np.unique(given, return_index=True, return_inverse=True)
    return first[group], np.concatenate([pairs, pairs[:, ::-1]])


def _look_around(
    asking: Indices, others: Indices, centres: FloatArray, *, apart: Indices, into: tuple[Indices, FloatArray]
) -> None:
    """Find the nearest of `others`, and its similarity, for each of the groups that ask."""
    nearest, best = into
    column = np.full(len(nearest), -1)
    column[others] = np.arange(len(others))
    apart = apart[column[apart[:, 1]] >= 0]
    for begin in range(0, len(asking), BLOCK):
        block = asking[begin : begin + BLOCK]
        row = np.full(len(nearest), -1)
        row[block] = np.arange(len(block))
        scores = centres[column[block]] @ centres.T  # (B, M)
        scores[row[block], column[block]] = -np.inf  # not with itself
        kept_apart = apart[row[apart[:, 0]] >= 0]
        scores[row[kept_apart[:, 0]], column[kept_apart[:, 1]]] = -np.inf
        closest = scores.argmax(axis=1)
        nearest[block], best[block] = others[closest], scores[row[block], closest]


def _mutual(groups: Indices, nearest: Indices, best: FloatArray) -> tuple[Indices, Indices]:
    """All pairs of groups that are each other's nearest: the lower rows, and the higher ones."""
    is_mutual = (nearest[nearest[groups]] == groups) & (groups < nearest[groups])
    if len(groups) and not is_mutual.any():  # equal similarities, which rounding made into a circle
        closest = groups[best[groups].argmax()]
        pair = np.sort([closest, nearest[closest]])
        return pair[:1], pair[1:]
    return groups[is_mutual], nearest[groups[is_mutual]]
