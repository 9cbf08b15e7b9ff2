"""Confidence intervals against published values and worked examples."""

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.match import bootstrap_over_people, wilson


def test_wilson_agrees_with_a_worked_example() -> None:
    # 81 of 263, 95 %: Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("successes", "expected"), [(0, (0.0, 0.1611)), (20, (0.8389, 1.0))])
def test_wilson_has_a_width_where_nothing_failed(successes: int, expected: tuple[float, float]) -> None:
    low, high = wilson(successes, 20)
    assert (round(low, 4), round(high, 4)) == expected  # Newcombe's 0 of 20, and its mirror image
    assert successes / 20 in (low, high)


def test_wilson_is_narrower_at_a_lower_confidence() -> None:
    wide, narrow = wilson(5, 10, confidence=0.99), wilson(5, 10, confidence=0.8)
    assert wide.low < narrow.low < 0.5 < narrow.high < wide.high


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(InputError, match="successes"):
        wilson(successes, trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_wilson_refuses_a_confidence_that_is_no_probability(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence"):
        wilson(1, 2, confidence=confidence)


def _between(people: int, images_each: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    compared = np.full((people, people), images_each**2, dtype=np.int64)
    np.fill_diagonal(compared, 0)
    return compared


def test_the_bootstrap_surrounds_the_measured_rate() -> None:
    compared = _between(30, 2)
    accepted = np.zeros_like(compared)
    accepted[3, 7] = accepted[7, 3] = 4
    accepted[11, 20] = accepted[20, 11] = 2
    rate = accepted.sum() / compared.sum()
    low, high = bootstrap_over_people(accepted, compared)
    assert 0 <= low < rate < high < 10 * rate


def test_the_bootstrap_sees_that_one_person_causes_all_false_matches() -> None:
    """29 independent false matches and 29 of one person are the same rate, but not the same certainty."""
    compared = _between(60, 1)
    spread, of_one = np.zeros_like(compared), np.zeros_like(compared)
    for i in range(29):
        spread[2 * i, 2 * i + 1] = spread[2 * i + 1, 2 * i] = 1
    of_one[0, 1:30] = of_one[1:30, 0] = 1
    assert spread.sum() == of_one.sum()
    narrow, wide = bootstrap_over_people(spread, compared), bootstrap_over_people(of_one, compared)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_bootstrap_of_equal_rates_everywhere_has_no_width() -> None:
    compared = _between(10, 2)
    low, high = bootstrap_over_people(compared // 4, compared)
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(0.25)


def test_the_bootstrap_repeats_itself() -> None:
    compared = _between(40, 3)
    accepted = np.random.default_rng(0).integers(0, 3, compared.shape)
    accepted = np.triu(accepted, 1) + np.triu(accepted, 1).T
    assert bootstrap_over_people(accepted, compared) == bootstrap_over_people(accepted, compared)
    assert bootstrap_over_people(accepted, compared) != bootstrap_over_people(accepted, compared, seed=1)


def test_the_bootstrap_refuses_other_shapes_and_too_few_people() -> None:
    with pytest.raises(ShapeError, match=r"\(P, P\)"):
        bootstrap_over_people(_between(4, 1), _between(5, 1))
    with pytest.raises(InputError, match="3 people"):
        bootstrap_over_people(_between(2, 1), _between(2, 1))
