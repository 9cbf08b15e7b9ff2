"""One comparison's false match rate, and that of a gallery of many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.choices import Answer
from vultus.errors import InputError
from vultus.match import (
    expected_fpir,
    fmr_for_fpir,
    identification_threshold,
    plain_threshold,
    verification_threshold,
)
from vultus.types import Calibration, Interval, ThresholdRates, answer_at


def test_a_gallery_of_one_is_verification() -> None:
    assert expected_fpir(0.001, gallery_size=1) == pytest.approx(0.001)
    assert fmr_for_fpir(0.01, gallery_size=1) == pytest.approx(0.01)


def test_false_matches_grow_with_the_gallery() -> None:
    assert expected_fpir(1e-4, gallery_size=10) == pytest.approx(1 - (1 - 1e-4) ** 10)
    assert expected_fpir(1e-4, gallery_size=10_000) == pytest.approx(0.6321, abs=1e-4)  # about 1 - 1 / e


def test_an_empty_gallery_matches_nobody() -> None:
    assert expected_fpir(0.5, gallery_size=0) == 0.0


def test_tiny_rates_do_not_cancel_to_zero() -> None:
    assert expected_fpir(1e-18, gallery_size=1000) == pytest.approx(1e-15)
    assert fmr_for_fpir(1e-9, gallery_size=1_000_000) == pytest.approx(1e-15)


@given(st.floats(1e-12, 0.999), st.integers(1, 10**7))
def test_one_is_the_inverse_of_the_other(fpir: float, gallery_size: int) -> None:
    fmr = fmr_for_fpir(fpir, gallery_size=gallery_size)
    assert expected_fpir(fmr, gallery_size=gallery_size) == pytest.approx(fpir, rel=1e-9)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, float("nan")])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        expected_fpir(rate, gallery_size=10)
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        fmr_for_fpir(rate, gallery_size=10)


def test_impossible_gallery_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="gallery_size"):
        expected_fpir(0.1, gallery_size=-1)
    with pytest.raises(InputError, match="gallery_size"):
        fmr_for_fpir(0.1, gallery_size=0)


def point(threshold: float, fmr: float, fnmr: float) -> ThresholdRates:
    return ThresholdRates(threshold, fmr, Interval(fmr / 2, fmr * 2), fnmr, round(fmr * 1e6), 10**6, 1000)


MEASURED = Calibration(
    "some contract",
    (point(0.2, 1e-1, 0.0), point(0.3, 1e-2, 0.005), point(0.4, 1e-3, 0.01), point(0.5, 1e-4, 0.03),
     point(0.6, 1e-5, 0.10)),
    fmr=1e-3,
    fpir=1e-2,
)  # fmt: skip


def test_one_comparison_takes_the_lowest_threshold_of_the_wanted_rate() -> None:
    threshold = verification_threshold(MEASURED)
    assert (threshold.min_similarity, threshold.fmr) == (0.4, 1e-3)
    assert threshold.fpir == pytest.approx(1e-3)
    assert threshold.doubtful_from is None, "nobody is missed there: there is nothing to doubt"
    assert verification_threshold(MEASURED, fmr=5e-3).min_similarity == 0.4, "never a rate above the wanted"
    assert verification_threshold(MEASURED, fmr=1e-2).min_similarity == 0.3


def test_the_threshold_rises_with_the_gallery_and_never_falls_below_that_of_a_pair() -> None:
    found = [identification_threshold(MEASURED, comparisons=count) for count in (0, 1, 10, 100, 1000)]
    assert [one.min_similarity for one in found] == [0.4, 0.4, 0.4, 0.5, 0.6]
    assert all(one.is_enough for one in found)
    assert all((one.fpir or 1) <= 0.011 for one in found)


def test_between_what_strangers_and_what_the_same_person_reach_lies_a_grey_zone() -> None:
    threshold = identification_threshold(MEASURED, comparisons=1000)
    assert threshold.doubtful_from == 0.4, "the highest threshold that misses at most 1 %"
    answers = [
        answer_at(one, threshold.min_similarity, threshold.doubtful_from) for one in (0.39, 0.4, 0.59, 0.6)
    ]
    assert answers == [Answer.UNKNOWN, Answer.UNCERTAIN, Answer.UNCERTAIN, Answer.KNOWN]


def test_a_gallery_too_large_for_the_calibration_is_told_what_it_comes_to() -> None:
    threshold = identification_threshold(MEASURED, comparisons=5000)
    assert (threshold.min_similarity, threshold.is_enough) == (0.6, False)
    assert threshold.fpir == pytest.approx(expected_fpir(1e-5, gallery_size=5000))
    with pytest.raises(InputError, match=r"1,000,000 impostor pairs .* takes about 4,9"):
        identification_threshold(MEASURED, comparisons=5000, fpir=1e-2)


def test_beyond_one_stranger_in_ten_nobody_is_named() -> None:
    threshold = identification_threshold(MEASURED, comparisons=20_000)
    assert not threshold.is_enough
    assert answer_at(0.99, threshold.min_similarity, threshold.doubtful_from) is Answer.UNCERTAIN
    assert answer_at(0.39, threshold.min_similarity, threshold.doubtful_from) is Answer.UNKNOWN


@pytest.mark.parametrize(
    ("similarity", "fmr"), [(-1.0, 1.0), (0.19, 1.0), (0.2, 1e-1), (0.39, 1e-2), (0.4, 1e-3), (1.0, 1e-5)]
)
def test_a_similarity_has_the_rate_of_the_threshold_below_it(similarity: float, fmr: float) -> None:
    assert verification_threshold(MEASURED).fmr_at(similarity) == fmr


def test_a_rate_below_all_that_was_measured_is_refused() -> None:
    with pytest.raises(InputError, match=r"down to 1e-05; 1e-06 takes about 10,000,000"):
        verification_threshold(MEASURED, fmr=1e-6)


def test_the_callers_own_threshold_has_no_grey_zone_but_its_rates() -> None:
    threshold = plain_threshold(0.45, calibration=MEASURED, comparisons=10)
    assert (threshold.min_similarity, threshold.doubtful_from, threshold.fmr) == (0.45, None, 1e-3)
    assert threshold.fpir == pytest.approx(0.01, rel=0.01)
    bare = plain_threshold(0.45)
    assert (bare.fmr, bare.fpir) == (None, None)
    assert plain_threshold(-1.0, calibration=MEASURED).fpir == 1.0
