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

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.match.false_matches import count_accepted, sorted_similarities, threshold_at_fmr
from vultus.match.intervals import wilson
from vultus.types import Interval

Scores = NDArray[np.float64]  # (N,) similarities, finite


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
    genuine_sorted, impostor_sorted = (
        sorted_similarities(genuine, "genuine"),
        sorted_similarities(impostor, "impostor"),
    )
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
    genuine_sorted, impostor_sorted = (
        sorted_similarities(genuine, "genuine"),
        sorted_similarities(impostor, "impostor"),
    )
    threshold = threshold_at_fmr(impostor_sorted, fmr=far)
    accepted = count_accepted(genuine_sorted, threshold)
    return TarAtFar(
        far=far,
        threshold=threshold,
        tar=accepted / len(genuine_sorted),
        tar_interval=wilson(accepted, len(genuine_sorted)),
        n_false_accepts=count_accepted(impostor_sorted, threshold),
        n_genuine=len(genuine_sorted),
        n_impostors=len(impostor_sorted),
    )
