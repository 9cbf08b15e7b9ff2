"""For whom does it work less well? Error rates by group, all at one common threshold.

All pairs of a folder's images are compared, as in `people`; each pair belongs to one group or to none:

    a column of values     both images have the value: men with men, women with women (fairness)
    a number, with edges   the same, after the number was put into a range
    a gap, with edges      by how far the numbers of the two images differ: years between two photographs
    the turn of the head   by the more turned of the two faces (`quality.pose`)

The threshold is common, because it is in service: setting one for each group would hide the difference. Of
impostor pairs, those within a group are the hard ones; pairs of unlike people flatter every group.

FMR: an interval over people (`bootstrap_over_people`); without a single false match, and with fewer than
three people, Wilson's over pairs, which is too narrow. FNMR: Wilson's over pairs. Small groups are
named as such.

ISO/IEC 19795-10:2024, quantifying biometric system performance variation across demographic groups.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError
from vultus.match.all_pairs import BLOCK
from vultus.match.false_matches import MIN_FALSE_MATCHES
from vultus.match.intervals import bootstrap_over_people, wilson
from vultus.types import Embeddings, Interval

MIN_PEOPLE: Final = 20
MIN_GENUINE: Final = 100
TURN_EDGES: Final = (0.15, 0.3, 0.5)

Indices: TypeAlias = NDArray[np.intp]
NO_GROUP: Final = -1


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which pairs belong together.

    Attributes:
        names: of the groups.
        of_pairs: positions of the first images (K,), of the second (K,) -> group of each pair (K,), or
            `NO_GROUP`.
    """

    names: tuple[str, ...]
    of_pairs: Callable[[Indices, Indices], Indices]


@dataclass(frozen=True, slots=True)
class GroupRates:
    """The error rates of one group at the common threshold.

    Attributes:
        name: of the group.
        n_people: with an image in one of its pairs.
        n_genuine: genuine pairs.
        n_impostors: impostor pairs.
        fmr: accepted impostor pairs / impostor pairs; None where there are none.
        fmr_interval: 95 %.
        fnmr: rejected genuine pairs / genuine pairs; None where there are none.
        fnmr_interval: 95 %.
        warnings: why a rate should not be trusted; empty for a group that is large enough.
    """

    name: str
    n_people: int
    n_genuine: int
    n_impostors: int
    fmr: float | None
    fmr_interval: Interval | None
    fnmr: float | None
    fnmr_interval: Interval | None
    warnings: tuple[str, ...]


def by_value(values: Sequence[str]) -> Grouping:
    """Both images have the same value of M; an empty one is a group of its own, 'unknown'."""
    names, codes = np.unique(np.array([value or "unknown" for value in values]), return_inverse=True)
    return Grouping(tuple(names.tolist()), _both_in(codes.reshape(-1)))


def by_range(numbers: ArrayLike, edges: Sequence[float]) -> Grouping:
    """Both images lie in the same range; edges belong to the range above them."""
    return Grouping(_ranges(edges), _both_in(_binned(numbers, edges)))


def by_gap(numbers: ArrayLike, edges: Sequence[float]) -> Grouping:
    """The numbers of the two images differ by so much."""
    values = _finite(numbers)
    return Grouping(
        tuple(f"{name} apart" for name in _ranges(edges)),
        lambda i, j: np.digitize(np.abs(values[i] - values[j]), edges),
    )


def by_turn(turns: ArrayLike, edges: Sequence[float] = TURN_EDGES) -> Grouping:
    """The more turned of the two faces is turned so far, either way; 0 is frontal, 1 a profile."""
    bins = np.digitize(np.abs(np.asarray(turns, dtype=np.float64)), edges)
    return Grouping(_ranges(edges), lambda i, j: np.maximum(bins[i], bins[j]))


def rates_by_group(
    embeddings: Embeddings, identity_index: Sequence[int], *, grouping: Grouping, threshold: float
) -> tuple[GroupRates, ...]:
    """The error rates of each group over its pairs, each pair once.

    Args:
        embeddings: (M, D) unit rows.
        identity_index: (M,) whose embedding it is.
        grouping: of the M images.
        threshold: a pair is accepted if its similarity >= this, in every group.

    Raises:
        ShapeError: there is not one identity per embedding.
    """
    owner = np.unique(np.asarray(identity_index, dtype=np.intp), return_inverse=True)[1].reshape(-1)
    if owner.shape != embeddings.shape[:1]:
        raise ShapeError(f"expected an identity for each of {embeddings.shape}, got {owner.shape}")
    groups, people = len(grouping.names), int(owner.max(initial=-1)) + 1
    counts = np.zeros((2, groups, people * people), dtype=np.int64)  # compared, accepted: by both owners
    for start in range(0, len(embeddings), BLOCK):
        matrix = embeddings[start : start + BLOCK] @ embeddings[start:].T  # (B, M - start)
        left, right = np.nonzero(np.triu(np.ones(matrix.shape, dtype=bool), k=1))
        accepted = matrix[left, right].astype(np.float64) >= threshold
        group = grouping.of_pairs(start + left, start + right)
        cell = owner[start + left] * people + owner[start + right]
        for number in range(groups):
            here = group == number
            counts[0, number] += np.bincount(cell[here], minlength=people * people)
            counts[1, number] += np.bincount(cell[here & accepted], minlength=people * people)
    return tuple(
        _rates(name, *counts[:, number].reshape(2, people, people))
        for number, name in enumerate(grouping.names)
    )


def _rates(name: str, compared: NDArray[np.int64], accepted: NDArray[np.int64]) -> GroupRates:
    """The rates of (P, P) counts by owner of the first and of the second image."""
    present = np.flatnonzero(compared.sum(axis=0) + compared.sum(axis=1))
    compared, accepted = (counts[np.ix_(present, present)] for counts in (compared, accepted))
    n_genuine, n_hits = int(np.trace(compared)), int(np.trace(accepted))
    n_impostors, n_false = int(compared.sum()) - n_genuine, int(accepted.sum()) - n_hits
    missed = n_genuine - n_hits
    return GroupRates(
        name=name,
        n_people=len(present),
        n_genuine=n_genuine,
        n_impostors=n_impostors,
        fmr=n_false / n_impostors if n_impostors else None,
        fmr_interval=_fmr_interval(compared, accepted) if n_impostors else None,
        fnmr=missed / n_genuine if n_genuine else None,
        fnmr_interval=wilson(missed, n_genuine) if n_genuine else None,
        warnings=tuple(_warnings(len(present), n_genuine, n_false)),
    )


def _warnings(n_people: int, n_genuine: int, n_false: int) -> Iterator[str]:
    if n_people == 0:
        yield "no pairs"
        return
    if n_people < MIN_PEOPLE:
        yield f"{n_people} people, fewer than {MIN_PEOPLE}"
    if n_genuine < MIN_GENUINE:
        yield f"{n_genuine:,} genuine pairs, fewer than {MIN_GENUINE}"
    if n_false < MIN_FALSE_MATCHES:
        yield f"{n_false} false matches, fewer than {MIN_FALSE_MATCHES}"


def _fmr_interval(compared: NDArray[np.int64], accepted: NDArray[np.int64]) -> Interval:
    impostors, false_matches = compared + compared.T, accepted + accepted.T
    np.fill_diagonal(impostors, 0)
    np.fill_diagonal(false_matches, 0)
    if len(impostors) < 3 or not false_matches.any():
        return wilson(int(false_matches.sum()) // 2, int(impostors.sum()) // 2)
    return bootstrap_over_people(false_matches, impostors)


def _both_in(codes: Indices) -> Callable[[Indices, Indices], Indices]:
    return lambda i, j: np.where(codes[i] == codes[j], codes[i], NO_GROUP)


def _binned(numbers: ArrayLike, edges: Sequence[float]) -> Indices:
    return np.digitize(_finite(numbers), edges)


def _finite(numbers: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(numbers, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"expected numbers, got {values[~np.isfinite(values)][0]}")
    return values


def _ranges(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges or list(edges) != sorted(set(edges)):
        raise InputError(f"the edges of ranges must rise, got {list(edges)}")
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *between, f"from {edges[-1]:g}")
