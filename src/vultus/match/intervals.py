"""How sure a measured rate is.

Wilson's score interval is for independent trials: with p = successes / trials, n trials and the normal
quantile z,

    (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

It stays inside [0, 1] and has a width where nothing failed, which the textbook interval has not.

Pairs that share people are not independent: all pairs of a few hundred people hold far less evidence than
their number says. For those `bootstrap_over_people` draws whole people, with all their pairs.

Wilson: Probable inference, the law of succession, and statistical inference. JASA 22 (1927).
Bolle, Ratha, Pankanti: Error analysis of pattern recognition systems - the subsets bootstrap. Computer
Vision and Image Understanding 93 (2004).
"""

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.types import Interval

DRAWN_AT_ONCE = 128  # draws of people in one matrix product


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a rate measured as `successes` out of `trials` independent trials.

    Raises:
        InputError: no trials, more successes than trials, or a confidence outside (0, 1).
    """
    if not 0 <= successes <= trials or trials == 0:
        raise InputError(f"expected 0 <= successes <= trials and a trial, got {successes} of {trials}")
    z = _normal_quantile(confidence)
    p = successes / trials
    centre = p + z * z / (2 * trials)
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At p = 0 and p = 1 centre and half are equal up to rounding: the bound is exactly 0 or 1.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(low, high)


def bootstrap_over_people(
    accepted: NDArray[np.int64],
    compared: NDArray[np.int64],
    *,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """The interval of accepted / compared pairs when people, not pairs, are what was sampled.

    Each draw picks as many people as there are, with replacement; a pair of two people counts as often as
    both were drawn together (n_i * n_j times), and a person is never an impostor to their own copy.

    Args:
        accepted: (P, P) accepted impostor pairs between person i (row) and person j (column), diagonal 0.
        compared: (P, P) all impostor pairs between them, diagonal 0.
        confidence: the share of draws inside the interval.
        draws: how many times people are drawn.
        seed: of the draws: the same input gives the same interval.

    Raises:
        ShapeError: the two are not square matrices of one size.
        InputError: fewer than three people, or a confidence outside (0, 1).
    """
    people = len(accepted)
    if accepted.shape != (people, people) or compared.shape != accepted.shape:
        raise ShapeError(f"expected two (P, P) matrices, got {accepted.shape} and {compared.shape}")
    if people < 3 or not 0 < confidence < 1:
        raise InputError(f"expected at least 3 people and a confidence in (0, 1), got {people}, {confidence}")
    generator = np.random.default_rng(seed)
    numerators, denominators = accepted.astype(np.float64), compared.astype(np.float64)
    rates: list[float] = []
    for start in range(0, draws, DRAWN_AT_ONCE):
        chosen = [
            generator.integers(people, size=people) for _ in range(start, min(start + DRAWN_AT_ONCE, draws))
        ]
        times = np.stack([np.bincount(one, minlength=people) for one in chosen]).astype(np.float64)
        totals = ((times @ denominators) * times).sum(axis=1)
        hits = ((times @ numerators) * times).sum(axis=1)
        is_drawn = totals > 0  # not where one and the same person was drawn every time
        rates += (hits[is_drawn] / totals[is_drawn]).tolist()
    tail = (1 - confidence) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _normal_quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie in (0, 1), got {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)
