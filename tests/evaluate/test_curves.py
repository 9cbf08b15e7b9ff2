"""Error rates by hand: each expected number can be counted on one's fingers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError, ShapeError
from vultus.evaluate import carried_rates, equal_error, roc, tar_at_far, threshold_at_fmr


def test_the_roc_counts_what_each_threshold_accepts() -> None:
    curve = roc(genuine=[0.9, 0.6], impostor=[0.6, 0.2, 0.1, 0.1])
    assert curve.thresholds.tolist() == [0.1, 0.2, 0.6, 0.9, np.inf]
    assert curve.fmr.tolist() == [1.0, 0.5, 0.25, 0.0, 0.0]  # >=: the impostor at 0.6 is accepted at 0.6
    assert curve.fnmr.tolist() == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert curve.tar.tolist() == [1.0, 1.0, 1.0, 0.5, 0.0]


def test_the_equal_error_rate_is_where_both_errors_meet() -> None:
    # at 0.5: impostor 0.5 is accepted (1 of 4), genuine 0.4 is rejected (1 of 4)
    found = equal_error(genuine=[0.4, 0.6, 0.7, 0.8], impostor=[0.5, 0.3, 0.2, 0.1])
    assert found.rate == 0.25
    assert found.threshold == 0.5


def test_the_equal_error_rate_of_separated_scores_is_zero() -> None:
    found = equal_error(genuine=[0.8, 0.9], impostor=[0.1, 0.2])
    assert (found.rate, found.threshold) == (0.0, 0.8)


def test_the_equal_error_rate_is_the_mean_where_the_errors_never_meet() -> None:
    # one impostor, two genuine: FMR is 0 or 1, FNMR 0, 1/2 or 1; closest together at 0.6: FMR 0, FNMR 1/2 ...
    found = equal_error(genuine=[0.3, 0.6], impostor=[0.5])
    # ... or at 0.5: FMR 1, FNMR 1/2; both differ by 1/2, and the lowest threshold is taken
    assert (found.rate, found.threshold) == (0.75, 0.5)


IMPOSTORS = np.arange(100) / 1000  # 0.000 .. 0.099, all different


@pytest.mark.parametrize(("far", "accepted"), [(0.1, 10), (0.29, 29), (0.299, 29), (0.3, 30), (0.999, 99)])
def test_the_accepted_set_is_the_largest_that_keeps_the_rate(far: float, accepted: int) -> None:
    """0.29 * 100 is 28.999999999999996 in floating point: exactly achievable counts must be achieved."""
    found = tar_at_far([0.05, 0.5], IMPOSTORS, far=far)
    assert found.n_false_accepts == accepted
    assert np.count_nonzero(found.threshold <= IMPOSTORS) == accepted
    assert found.threshold <= IMPOSTORS[100 - accepted]


def test_a_genuine_pair_just_above_the_highest_rejected_impostor_is_accepted() -> None:
    """No interpolation: the largest accepted set begins directly above the first impostor to be rejected."""
    highest_rejected = IMPOSTORS[100 - 11]
    just_above = np.nextafter(highest_rejected, 1.0)
    found = tar_at_far([highest_rejected, just_above], IMPOSTORS, far=0.1)
    assert found.tar == 0.5
    assert found.threshold == just_above


def test_impostors_that_tie_at_the_threshold_are_rejected_together() -> None:
    # 20 allowed of 200, but places 19 to 22 tie: accepting one means accepting all four, so only 18 are
    impostor = np.concatenate([np.full(18, 0.9), np.full(4, 0.5), np.full(178, 0.1)])
    found = tar_at_far([0.5, 0.51, 0.95, 0.95], impostor, far=0.1)
    assert found.n_false_accepts == 18
    assert found.tar == 0.75


def test_the_threshold_of_float32_scores_holds_in_float32() -> None:
    """The matcher compares in float32: a threshold between two such numbers would round onto the lower."""
    impostor = np.random.default_rng(0).random(1000, dtype=np.float32)
    threshold = threshold_at_fmr(impostor, fmr=0.05)
    assert (
        np.count_nonzero(impostor >= threshold) == np.count_nonzero(impostor >= np.float32(threshold)) == 50
    )
    assert tar_at_far(impostor, impostor, far=0.05).n_false_accepts == 50


def test_scores_of_two_precisions_are_compared_in_the_finer_one() -> None:
    """0.7 in float32 is 0.69999999: below a threshold of 0.7, and equal to it after rounding."""
    genuine, impostor = np.full(4, 0.7, dtype=np.float32), np.full(100, 0.7)
    assert tar_at_far(genuine, impostor, far=0.1).tar == 0.0


def test_tar_says_how_sure_it_is() -> None:
    found = tar_at_far(np.full(50, 0.9), IMPOSTORS, far=0.1)
    assert found.tar == found.tar_interval.high == 1.0
    assert 0.92 < found.tar_interval.low < 0.94  # Wilson, 50 of 50
    assert (found.n_genuine, found.n_impostors, found.far) == (50, 100, 0.1)


@pytest.mark.parametrize(
    ("far", "needed"), [(1e-2, "1,000"), (1e-3, "10,000"), (1e-6, "10,000,000"), (0.07, "143")]
)
def test_a_rate_that_the_impostors_cannot_carry_is_refused(far: float, needed: str) -> None:
    with pytest.raises(InputError, match=f"at least {needed} "):
        tar_at_far([0.9], IMPOSTORS, far=far)


@pytest.mark.parametrize(("count", "far"), [(1000, 1e-2), (100_000, 1e-4), (143, 0.07), (61, 10 / 61)])
def test_ten_expected_false_matches_are_enough_and_one_impostor_fewer_is_not(count: int, far: float) -> None:
    impostor = np.linspace(0, 0.5, count)
    assert threshold_at_fmr(impostor, fmr=far) < 0.5
    with pytest.raises(InputError, match="impostor pairs cannot show"):
        threshold_at_fmr(impostor[1:], fmr=far)


def test_the_usual_rates_are_those_that_the_impostors_carry() -> None:
    counts = (999, 1000, 9999, 10_000, 100_000)
    expected = [(), (1e-2,), (1e-2,), (1e-2, 1e-3), (1e-2, 1e-3, 1e-4)]
    assert [carried_rates(count) for count in counts] == expected


@pytest.mark.parametrize("far", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_that_is_none_is_refused(far: float) -> None:
    with pytest.raises(InputError, match="must lie in"):
        threshold_at_fmr(IMPOSTORS, fmr=far)


@pytest.mark.parametrize("bad", [[], [[0.1]], [0.1, np.nan], [np.inf]])
def test_scores_that_are_no_list_of_numbers_are_refused(bad: list[float]) -> None:
    with pytest.raises(ShapeError, match="impostor similarities must"):
        roc([0.9], bad)


@given(
    st.lists(st.integers(0, 20), min_size=20, max_size=200),
    st.lists(st.integers(0, 25), min_size=1, max_size=50),
    st.floats(0.5, 0.99),
)
def test_no_other_threshold_keeps_the_rate_and_accepts_more(
    impostor: list[int], genuine: list[int], far: float
) -> None:
    """Against the definition: try every threshold, keep those within the rate, take the most accepted."""
    found = tar_at_far(genuine, impostor, far=far)
    candidates = [*range(27)]
    allowed = [t for t in candidates if np.mean(np.array(impostor) >= t) <= far]
    best = max(float(np.mean(np.array(genuine) >= t)) for t in allowed)
    assert found.tar == best
    assert found.n_false_accepts / len(impostor) <= far
