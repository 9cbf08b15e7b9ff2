"""What a threshold means in a gallery of many people.

A probe of somebody who is not enrolled is compared with all N of them, and each comparison may match
falsely. With the false match rate FMR of one comparison, the false positive identification rate is

    FPIR = 1 - (1 - FMR)^N        which is about N * FMR while that is small

so a `min_similarity` calibrated for verification (1:1) lets through N times as many strangers in
identification (1:N). Calibrate it for `fmr_for_fpir` of the gallery it will serve.

The formula takes comparisons as independent; those of one probe are not quite. It is the usual planning
figure, not a measurement: measure the FPIR where strangers' photos are at hand.

ISO/IEC 19795-1:2021, Biometric performance testing.
"""

from math import expm1, log1p

from vultus.errors import InputError


def expected_fpir(fmr: float, *, gallery_size: int) -> float:
    """The share of strangers who match somebody, at a false match rate of `fmr` per comparison.

    Args:
        fmr: false match rate of one comparison, in [0, 1).
        gallery_size: N, how many people are enrolled.

    Raises:
        InputError: `fmr` outside [0, 1), or a negative gallery size.
    """
    _check(fmr, "fmr", gallery_size)
    return -expm1(gallery_size * log1p(-fmr))  # 1 - (1 - fmr)^N, without cancellation


def fmr_for_fpir(fpir: float, *, gallery_size: int) -> float:
    """The false match rate for which to calibrate `min_similarity`, for at most `fpir` of strangers to match.

    Args:
        fpir: the wanted false positive identification rate, in [0, 1).
        gallery_size: N, how many people are, or will be, enrolled; at least 1.

    Raises:
        InputError: `fpir` outside [0, 1), or an empty gallery, in which no rate is too high.
    """
    _check(fpir, "fpir", gallery_size - 1)
    return -expm1(log1p(-fpir) / gallery_size)


def _check(rate: float, name: str, room: int) -> None:
    if not 0 <= rate < 1:
        raise InputError(f"{name} must lie in [0, 1), got {rate}")
    if room < 0:
        raise InputError("gallery_size is too small: it is the number of people who are enrolled")
