"""Does a calibration hold on people it has not seen? Calibrate on half of them, measure on the other half."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vultus.errors import InputError
from vultus.match.all_pairs import rates_at, rates_at_fmr
from vultus.types import Embeddings, ThresholdRates


@dataclass(frozen=True, slots=True)
class HalfCheck:
    """What became of a stated false match rate on other people.

    Attributes:
        fmr: as stated: the threshold was found on one half of the people for this rate.
        there: the rates of that threshold on the other half.
    """

    fmr: float
    there: ThresholdRates

    @property
    def is_inside(self) -> bool:
        """Whether the stated rate lies in the 95 % interval of the measured one."""
        return self.there.fmr_interval.low <= self.fmr <= self.there.fmr_interval.high


def check_halves(
    embeddings: Embeddings, identity_index: Sequence[int], *, fmr: float, seed: int = 0
) -> tuple[HalfCheck, HalfCheck]:
    """Calibrate on each half of the people, at random, and measure on the other.

    Both halves are samples: that the stated rate lies in the interval is expected nearly always, not always.

    Args:
        embeddings: (M, D) unit rows.
        identity_index: (M,) whose face it is.
        fmr: the false match rate to state.
        seed: of the draw: the same seed, the same halves.

    Raises:
        InputError: fewer than six people, or half of them have too few impostor pairs for `fmr`.
    """
    owners = np.asarray(identity_index, dtype=np.intp)
    people = np.random.default_rng(seed).permutation(np.unique(owners))
    if len(people) < 6:
        raise InputError(f"two halves of three people or more are needed, got {len(people)} people")
    is_first = np.isin(owners, people[: len(people) // 2])
    return _check(embeddings, owners, is_first, fmr), _check(embeddings, owners, ~is_first, fmr)


def _check(
    embeddings: Embeddings, owners: np.ndarray[tuple[int], np.dtype[np.intp]], is_here: np.ndarray, fmr: float
) -> HalfCheck:
    here = rates_at_fmr(embeddings[is_here], owners[is_here].tolist(), fmr=fmr)
    there = rates_at(embeddings[~is_here], owners[~is_here].tolist(), threshold=here.threshold)
    return HalfCheck(fmr, there)
