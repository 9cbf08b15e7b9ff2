"""The threshold for a stated false match rate, and which rates a number of impostor pairs can show.

Rates are counts over counts, never interpolated. At n impostor pairs and a false match rate of f one expects
n f false matches; below about ten of them the estimate is mostly chance, and the rate is refused.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError

MIN_FALSE_MATCHES = 10
USUAL_RATES = (1e-2, 1e-3, 1e-4)

SortedScores = NDArray[np.floating[Any]]  # (N,) ascending, in the precision they were given in


def threshold_at_fmr(impostor: ArrayLike, *, fmr: float) -> float:
    """The lowest threshold whose false match rate over these impostors is <= `fmr`.

    With k the largest count for which k / n <= fmr, the (k + 1)-th highest impostor must be rejected, and
    with it every impostor that ties with it: the threshold is the next number above that similarity, in the
    precision of the similarities, so that it holds where they are compared in float32, too.

    Raises:
        ShapeError: not (N,), empty, or not finite.
        InputError: `fmr` outside (0, 1), or too small for this many impostors.
    """
    ascending = sorted_similarities(impostor, "impostor")
    check_carries(len(ascending), fmr=fmr)
    rates = np.arange(len(ascending)) / len(ascending)  # k / n, divided rather than fmr * n: 29 / 100 is 0.29
    allowed = int(np.searchsorted(rates, fmr, side="right")) - 1
    highest_rejected = ascending[len(ascending) - 1 - allowed]
    return float(np.nextafter(highest_rejected, np.inf))


def carried_rates(n_impostors: int, *, rates: Sequence[float] = USUAL_RATES) -> tuple[float, ...]:
    """Those of the rates, by default 1e-2, 1e-3 and 1e-4, that this many impostor pairs can show."""
    return tuple(rate for rate in rates if n_impostors >= needed_impostors(rate))


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
    needed = needed_impostors(fmr)
    if n_impostors < needed:
        raise InputError(
            f"{n_impostors:,} {what} cannot show a false match rate of {fmr:g}: that takes at least "
            f"{needed:,} (ten expected false matches). Ask for {MIN_FALSE_MATCHES / max(n_impostors, 1):.2g} "
            "or more, or bring more of them."
        )


def needed_impostors(fmr: float) -> int:
    """How many impostor pairs it takes to speak of this false match rate: ten expected false matches."""
    return ceil(MIN_FALSE_MATCHES / fmr * (1 - 1e-12))  # 10 / fmr may land a hair above a whole number


def count_accepted(ascending: SortedScores, threshold: float) -> int:
    """How many similarities reach the threshold."""
    # In float64: NumPy would round a float64 threshold to the precision of float32 scores before it compares.
    return int(np.count_nonzero(ascending.astype(np.float64) >= threshold))


def sorted_similarities(similarities: ArrayLike, what: str) -> SortedScores:
    """The similarities in ascending order, in the precision they were given in.

    Raises:
        ShapeError: not (N,), empty, or not finite.
    """
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
