"""What a threshold means, in a gallery of many people too, and which one to take.

A probe of somebody who is not enrolled is compared with N templates, and each comparison may match falsely.
With the false match rate FMR of one comparison, the false positive identification rate is

    FPIR = 1 - (1 - FMR)^N        which is about N * FMR while that is small

so a `min_similarity` calibrated for verification (1:1) lets through N times as many strangers in
identification (1:N). The formula takes comparisons as independent; those of one probe are not quite, and
those with several templates of one person still less, so the true rate is rather lower. It is the usual
planning figure, not a measurement: measure the FPIR where strangers' photos are at hand.

A calibration (`calibration.py`) says how often strangers and how often the same person reach a similarity.
With the wanted rate f and t(f) the lowest threshold whose FMR is at most f:

    similarity >= t(f)                         a match: strangers get here too seldom
    r <= similarity < t(f)                     not enough evidence: strangers come here too often to say yes,
                                               and the same person too often to say no
    similarity < r, t(f)                       no match

where r is the highest threshold that misses at most 1 % of genuine pairs. The larger the gallery, the higher
is t(f), and the wider the grey zone below it.

ISO/IEC 19795-1:2021, Biometric performance testing.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from math import expm1, log1p
from typing import Final

from vultus.errors import InputError
from vultus.match.false_matches import needed_impostors
from vultus.types import Calibration, ThresholdRates

MAX_MISSED: Final = 0.01
MAX_NAMED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which similarity on two faces count as one person, and what stands behind the number.

    Attributes:
        min_similarity: a match if the similarity is >= this.
        doubtful_from: from here up to `min_similarity` there is not enough evidence either way; None where
            there is no such zone.
        calibration: which tells the rates; None where the threshold is a mere number.
        comparisons: how many templates a probe is compared with: 1 in verification.
        is_enough: whether the calibration shows the wanted rate for so many comparisons.
    """

    min_similarity: float
    doubtful_from: float | None = None
    calibration: Calibration | None = None
    comparisons: int = 1
    is_enough: bool = True

    def fmr_at(self, similarity: float) -> float | None:
        """The measured false match rate of one comparison at a similarity, rounded upwards to a point."""
        if self.calibration is None:
            return None
        point = point_at(self.calibration, similarity)
        return 1.0 if point is None else point.fmr

    @property
    def fmr(self) -> float | None:
        """The false match rate of one comparison at `min_similarity`."""
        return self.fmr_at(self.min_similarity)

    @property
    def fpir(self) -> float | None:
        """The share of strangers that is expected to reach `min_similarity` in so many comparisons."""
        rate = self.fmr
        if rate is None:
            return None
        return 1.0 if rate >= 1 else expected_fpir(rate, gallery_size=self.comparisons)


def plain_threshold(
    min_similarity: float, *, calibration: Calibration | None = None, comparisons: int = 1
) -> Threshold:
    """A threshold that the caller chose, without a grey zone; a calibration says what it comes to.

    Raises:
        InputError: it is no cosine.
    """
    if not -1.0 <= min_similarity <= 1.0:
        raise InputError(f"min_similarity is a cosine between -1 and 1, got {min_similarity}")
    return Threshold(min_similarity, calibration=calibration, comparisons=comparisons)


def verification_threshold(calibration: Calibration, *, fmr: float | None = None) -> Threshold:
    """The threshold for comparing one face with one.

    Args:
        calibration: which tells the rates.
        fmr: the wanted false match rate; by default the calibration's.

    Raises:
        InputError: the calibration's pairs cannot show that rate; the message says how many it takes.
    """
    wanted = calibration.fmr if fmr is None else fmr
    check_shows(calibration, fmr=wanted)
    return _threshold(calibration, wanted, comparisons=1)


def identification_threshold(
    calibration: Calibration, *, comparisons: int, fpir: float | None = None
) -> Threshold:
    """The threshold for comparing one face with everybody in a gallery; never below the one for verification.

    Args:
        calibration: which tells the rates.
        comparisons: how many templates the gallery has.
        fpir: the share of strangers that may be named. A rate that the calibration cannot show is refused.
            By default the calibration's. Where so many comparisons are too many for it, `is_enough` is
            False, and this is the strictest threshold it can speak of, whose `fpir` says what that comes to;
            beyond one stranger in ten nobody is named, and whoever comes close is "not enough evidence".

    Raises:
        InputError: the asked `fpir` cannot be shown; the message says how many impostor pairs it takes.
    """
    count = max(1, comparisons)
    wanted = fmr_for_fpir(calibration.fpir if fpir is None else fpir, gallery_size=count)
    wanted = min(wanted, calibration.fmr)
    if fpir is not None:
        check_shows(calibration, fmr=wanted)
    found = _threshold(calibration, wanted, comparisons=count)
    if found.is_enough or expected_fpir(least_fmr(calibration), gallery_size=count) <= MAX_NAMED:
        return found
    return replace(found, min_similarity=1.0, doubtful_from=found.doubtful_from or found.min_similarity)


def least_fmr(calibration: Calibration) -> float:
    """The lowest false match rate that a calibration shows."""
    return calibration.rates[-1].fmr


def check_shows(calibration: Calibration, *, fmr: float) -> None:
    """Refuse a false match rate that a calibration cannot show.

    Raises:
        InputError: it is below the lowest one measured; the message says how many impostor pairs it takes.
    """
    if not 0 < fmr < 1:
        raise InputError(f"a rate of false matches must lie in (0, 1), got {fmr}")
    if fmr < least_fmr(calibration):
        raise InputError(
            f"this calibration rests on {calibration.rates[-1].n_impostors:,} impostor pairs and shows false "
            f"match rates down to {least_fmr(calibration):.2g}; {fmr:.2g} takes about "
            f"{needed_impostors(fmr):,} of them. Calibrate with photos of more people, or ask for less"
        )


def expected_fpir(fmr: float, *, gallery_size: int) -> float:
    """The share of strangers who match somebody, at a false match rate of `fmr` per comparison.

    Args:
        fmr: false match rate of one comparison, in [0, 1).
        gallery_size: N, how many templates are enrolled.

    Raises:
        InputError: `fmr` outside [0, 1), or a negative gallery size.
    """
    _check(fmr, "fmr", gallery_size)
    return -expm1(gallery_size * log1p(-fmr))  # 1 - (1 - fmr)^N, without cancellation


def fmr_for_fpir(fpir: float, *, gallery_size: int) -> float:
    """The false match rate for which to calibrate `min_similarity`, for at most `fpir` of strangers to match.

    Args:
        fpir: the wanted false positive identification rate, in [0, 1).
        gallery_size: N, how many templates are, or will be, enrolled; at least 1.

    Raises:
        InputError: `fpir` outside [0, 1), or an empty gallery, in which no rate is too high.
    """
    _check(fpir, "fpir", gallery_size - 1)
    return -expm1(log1p(-fpir) / gallery_size)


def _threshold(calibration: Calibration, wanted: float, *, comparisons: int) -> Threshold:
    """The lowest measured threshold of at most the wanted rate, or the strictest, and the zone below it."""
    point = next((one for one in calibration.rates if one.fmr <= wanted), calibration.rates[-1])
    sure = [one.threshold for one in calibration.rates if one.fnmr <= MAX_MISSED]
    lowest_doubt = max(sure, default=calibration.rates[0].threshold)
    return Threshold(
        point.threshold,
        lowest_doubt if lowest_doubt < point.threshold else None,
        calibration,
        comparisons,
        is_enough=point.fmr <= wanted,
    )


def point_at(calibration: Calibration, similarity: float) -> ThresholdRates | None:
    """The highest measured threshold that the similarity reaches; None where it reaches none."""
    count = bisect_right(calibration.rates, similarity, key=lambda one: one.threshold)
    return calibration.rates[count - 1] if count else None


def _check(rate: float, name: str, room: int) -> None:
    if not 0 <= rate < 1:
        raise InputError(f"{name} must lie in [0, 1), got {rate}")
    if room < 0:
        raise InputError("gallery_size is too small: it is the number of people who are enrolled")
