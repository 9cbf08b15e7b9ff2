"""Error rates over a similarity threshold, in the words of ISO/IEC 19795-1.

A pair is accepted if its similarity >= t. Over genuine pairs (one person) and impostor pairs (two people):

    FMR(t)  = accepted impostor pairs / impostor pairs       false match rate; in verification also called FAR
    FNMR(t) = rejected genuine pairs / genuine pairs         false non-match rate
    TAR(t)  = 1 - FNMR(t)                                    true accept rate
    EER     = the rate where FMR and FNMR meet

Every rate is a count over a count: nothing is interpolated between measured points, so TAR@FAR never shows
an operating point that no threshold reaches. An FMR that the impostor pairs cannot carry is refused: at n
impostors and an FMR of f one expects n f false matches, and below about ten of them the estimate is mostly
chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError
from vultus.evaluate.intervals import Interval, wilson

MIN_FALSE_MATCHES = 10
USUAL_RATES = (1e-2, 1e-3, 1e-4)

Scores = NDArray[np.float64]  # (N,) similarities, finite
SortedScores = NDArray[np.floating[Any]]  # (N,) ascending, in the precision they were given in


@dataclass(frozen=True, eq=False, slots=True)
class Roc:
    """The error rates at every threshold that changes one of them.

    Attributes:
        thresholds: (K,) ascending: each distinct similarity, then infinity, which accepts nothing.
        fmr: (K,) false match rate at each threshold, falling from 1 to 0.
        fnmr: (K,) false non-match rate at each threshold, rising from 0 to 1.
    """

    thresholds: Scores
    fmr: Scores
    fnmr: Scores

    @property
    def tar(self) -> Scores:
        """(K,) true accept rate at each threshold."""
        return 1.0 - self.fnmr


@dataclass(frozen=True, slots=True)
class EqualError:
    """Where false matches and false non-matches are equally likely.

    Attributes:
        rate: the mean of FMR and FNMR at the threshold (they meet exactly only by chance).
        threshold: the lowest one at which FMR and FNMR are closest to each other.
    """

    rate: float
    threshold: float


@dataclass(frozen=True, slots=True)
class TarAtFar:
    """The largest accepted set of pairs whose false accept rate does not exceed the target.

    Attributes:
        far: the target.
        threshold: a pair is accepted if its similarity >= this.
        tar: accepted genuine pairs / genuine pairs.
        tar_interval: 95 % Wilson interval of `tar`; it takes the threshold as given and pairs as independent.
        n_false_accepts: impostor pairs accepted at the threshold; below `far * n_impostors` where scores tie.
        n_genuine: genuine pairs compared.
        n_impostors: impostor pairs compared.
    """

    far: float
    threshold: float
    tar: float
    tar_interval: Interval
    n_false_accepts: int
    n_genuine: int
    n_impostors: int


def roc(genuine: ArrayLike, impostor: ArrayLike) -> Roc:
    """The receiver operating characteristic of two sets of similarities.

    Raises:
        ShapeError: not (N,), empty, or not finite.
    """
    genuine_sorted, impostor_sorted = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    distinct = np.unique(np.concatenate([genuine_sorted, impostor_sorted]))
    thresholds = np.append(distinct, np.inf)
    below = np.searchsorted(impostor_sorted, thresholds)  # how many are < t: those are rejected
    missed = np.searchsorted(genuine_sorted, thresholds)
    return Roc(thresholds, 1.0 - below / len(impostor_sorted), missed / len(genuine_sorted))


def equal_error(genuine: ArrayLike, impostor: ArrayLike) -> EqualError:
    """The equal error rate and its threshold.

    Raises:
        ShapeError: not (N,), empty, or not finite.
    """
    curve = roc(genuine, impostor)
    at = int(np.argmin(np.abs(curve.fmr - curve.fnmr)))
    return EqualError(float(curve.fmr[at] + curve.fnmr[at]) / 2, float(curve.thresholds[at]))


def tar_at_far(genuine: ArrayLike, impostor: ArrayLike, *, far: float) -> TarAtFar:
    """The true accept rate at a false accept rate of at most `far`.

    Raises:
        ShapeError: not (N,), empty, or not finite.
        InputError: `far` outside (0, 1), or too small for this many impostors.
    """
    genuine_sorted, impostor_sorted = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    threshold = threshold_at_fmr(impostor_sorted, fmr=far)
    accepted = _count_accepted(genuine_sorted, threshold)
    return TarAtFar(
        far=far,
        threshold=threshold,
        tar=accepted / len(genuine_sorted),
        tar_interval=wilson(accepted, len(genuine_sorted)),
        n_false_accepts=_count_accepted(impostor_sorted, threshold),
        n_genuine=len(genuine_sorted),
        n_impostors=len(impostor_sorted),
    )


def threshold_at_fmr(impostor: ArrayLike, *, fmr: float) -> float:
    """The lowest threshold whose false match rate over these impostors is <= `fmr`.

    With k the largest count for which k / n <= fmr, the (k + 1)-th highest impostor must be rejected, and
    with it every impostor that ties with it: the threshold is the next number above that similarity, in the
    precision of the similarities, so that it holds where they are compared in float32, too.

    Raises:
        ShapeError: not (N,), empty, or not finite.
        InputError: `fmr` outside (0, 1), or too small for this many impostors.
    """
    ascending = _sorted(impostor, "impostor")
    check_carries(len(ascending), fmr=fmr)
    rates = np.arange(len(ascending)) / len(ascending)  # k / n, divided rather than fmr * n: 29 / 100 is 0.29
    allowed = int(np.searchsorted(rates, fmr, side="right")) - 1
    highest_rejected = ascending[len(ascending) - 1 - allowed]
    return float(np.nextafter(highest_rejected, np.inf))


def carried_rates(n_impostors: int, *, rates: Sequence[float] = USUAL_RATES) -> tuple[float, ...]:
    """Those of the rates, by default 1e-2, 1e-3 and 1e-4, that this many impostor pairs can show."""
    return tuple(rate for rate in rates if n_impostors >= _needed_impostors(rate))


def check_carries(n_impostors: int, *, fmr: float, what: str = "impostor pairs") -> None:
    """Refuse to speak of a false match rate that this many impostor pairs cannot show.

    Args:
        n_impostors: how many there are.
        fmr: the rate that is asked for.
        what: they are; in identification, probes of people who are not enrolled.

    Raises:
        InputError: `fmr` outside (0, 1), or fewer than 10 / fmr impostors.
    """
    if not 0 < fmr < 1:
        raise InputError(f"a rate of false matches must lie in (0, 1), got {fmr}")
    needed = _needed_impostors(fmr)
    if n_impostors < needed:
        raise InputError(
            f"{n_impostors:,} {what} cannot show a false match rate of {fmr:g}: that takes at least "
            f"{needed:,} (ten expected false matches). Ask for {MIN_FALSE_MATCHES / max(n_impostors, 1):.2g} "
            "or more, or bring more of them."
        )


def _needed_impostors(fmr: float) -> int:
    return ceil(MIN_FALSE_MATCHES / fmr * (1 - 1e-12))  # 10 / fmr may land a hair above a whole number


def _count_accepted(ascending: SortedScores, threshold: float) -> int:
    # In float64: NumPy would round a float64 threshold to the precision of float32 scores before it compares.
    return int(np.count_nonzero(ascending.astype(np.float64) >= threshold))


def _sorted(similarities: ArrayLike, what: str) -> SortedScores:
    array = np.asarray(similarities)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(f"{what} similarities must have shape (N,) with N >= 1, got {array.shape}")
    if not np.isfinite(array).all():
        raise ShapeError(
            f"{what} similarities must be finite, got {np.count_nonzero(~np.isfinite(array))} others"
        )
    return np.sort(array)
