"""Accuracy over folds, by hand."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError, ShapeError
from vultus.evaluate import ScoredPairs, best_threshold, fold_accuracies, verification


def scored(similarities: list[float], is_genuine: list[int], fold: list[int]) -> ScoredPairs:
    return ScoredPairs(
        np.array(similarities), np.array(is_genuine, dtype=bool), np.array(fold, dtype=np.intp)
    )


# Two folds of two pairs. Alone, fold 0 would choose 0.5, fold 1 would choose 0.2.
TWO_FOLDS = scored([0.8, 0.2, 0.3, 0.1], [1, 0, 1, 0], [0, 0, 1, 1])


def test_each_fold_is_judged_at_the_threshold_of_the_others() -> None:
    first, second = fold_accuracies(TWO_FOLDS)
    assert first.threshold == pytest.approx(0.2)  # halfway between 0.1 and 0.3, chosen on fold 1 ...
    assert first.accuracy == 0.5  # ... accepts both pairs of fold 0
    assert second.threshold == pytest.approx(0.5)  # halfway between 0.2 and 0.8, chosen on fold 0 ...
    assert second.accuracy == 0.5  # ... rejects both pairs of fold 1


def test_a_fold_never_sees_its_own_threshold() -> None:
    """With its own pairs included, the threshold 0.25 would answer all four pairs correctly."""
    assert best_threshold(TWO_FOLDS.similarities, TWO_FOLDS.is_genuine) == pytest.approx(0.25)
    assert verification(TWO_FOLDS).accuracy == 0.5


def test_mean_and_standard_error_are_those_of_the_folds() -> None:
    # thresholds from two folds of {0.9 genuine, 0.1 impostor}: 0.5. Fold 2 has one wrong pair of two.
    pairs = scored([0.9, 0.1, 0.9, 0.1, 0.9, 0.6], [1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2])
    result = verification(pairs)
    assert [fold.accuracy for fold in result.folds] == [1.0, 1.0, 0.5]
    mean = 2.5 / 3
    variance = (2 * (1 - mean) ** 2 + (0.5 - mean) ** 2) / 2  # divided by K - 1
    assert result.accuracy == pytest.approx(mean)
    assert result.standard_error == pytest.approx(sqrt(variance / 3))
    assert (result.n_genuine, result.n_impostors) == (3, 3)


def test_the_order_of_pairs_inside_a_fold_changes_nothing() -> None:
    generator = np.random.default_rng(1)
    fold = np.repeat(np.arange(4), 20)
    is_genuine = np.tile(np.repeat([True, False], 10), 4)
    similarities = generator.normal(is_genuine * 0.5, 0.3)
    order = np.concatenate([generator.permutation(20) + 20 * k for k in range(4)])
    plain = verification(ScoredPairs(similarities, is_genuine, fold))
    mixed = verification(ScoredPairs(similarities[order], is_genuine[order], fold))
    assert plain == mixed


def test_tar_is_over_all_pairs_of_all_folds() -> None:
    count = 100
    fold = np.repeat([0, 1], count)
    is_genuine = np.tile(np.repeat([True, False], count // 2), 2)
    similarities = np.where(is_genuine, 0.9, np.linspace(0, 0.5, 2 * count))
    (found,) = verification(ScoredPairs(similarities, is_genuine, fold), fars=[0.1]).tar_at_far
    assert (found.n_genuine, found.n_impostors, found.n_false_accepts) == (100, 100, 10)


def test_a_rate_beyond_the_impostors_is_refused() -> None:
    with pytest.raises(InputError, match="at least 10,000,000"):
        verification(TWO_FOLDS, fars=[1e-6])


@pytest.mark.parametrize(
    ("similarities", "is_genuine", "expected"),
    [
        ([0.1, 0.9], [0, 1], 0.5),  # halfway
        ([0.2, 0.2, 0.6], [0, 1, 1], 0.4),  # tied: 0.4 gives 2 of 3, and 0.2 (accept all) gives 2 of 3
        ([0.5, 0.7], [1, 1], 0.5),  # accept all
    ],
)
def test_the_threshold_answers_the_most_pairs_correctly(
    similarities: list[float], is_genuine: list[int], expected: float
) -> None:
    found = best_threshold(np.array(similarities), np.array(is_genuine, dtype=bool))
    correct = np.mean((np.array(similarities) >= found) == np.array(is_genuine, dtype=bool))
    wanted = np.mean((np.array(similarities) >= expected) == np.array(is_genuine, dtype=bool))
    assert correct == wanted


def test_of_equally_good_thresholds_the_middle_one_is_taken() -> None:
    # impostors and genuine pairs take turns: cuts at 0.15, 0.35 and 0.55 are equally good
    found = best_threshold(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), np.array([0, 1, 0, 1, 0, 1], dtype=bool))
    assert found == pytest.approx(0.35)


def test_only_impostors_are_all_rejected() -> None:
    found = best_threshold(np.array([0.1, 0.2]), np.array([False, False]))
    assert found > 0.2


def test_neighbouring_floats_are_told_apart() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1.0))
    assert best_threshold(np.array([low, high]), np.array([False, True])) == high


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=40))
def test_no_threshold_is_more_accurate(pairs: list[tuple[int, bool]]) -> None:
    """Against the definition: try a threshold at and above every similarity."""
    similarities = np.array([float(similarity) for similarity, _ in pairs])
    is_genuine = np.array([genuine for _, genuine in pairs])
    found = best_threshold(similarities, is_genuine)
    accuracy = float(np.mean((similarities >= found) == is_genuine))
    tried = [float(np.mean((similarities >= t) == is_genuine)) for t in np.arange(-6, 7) - 0.5]
    assert accuracy == max(tried)


@pytest.mark.parametrize(
    ("is_genuine", "fold", "message"),
    [
        ([1, 1, 1, 1], [0, 0, 1, 1], "genuine and impostor"),
        ([0, 0, 0, 0], [0, 0, 1, 1], "genuine and impostor"),
        ([1, 0, 1, 0], [0, 0, 0, 0], "at least two"),
        ([1, 0, 1, 0], [0, 0, 2, 2], "none empty"),
        ([1, 0, 1, 0], [-1, -1, 0, 0], "none empty"),
    ],
)
def test_pairs_that_make_no_protocol_are_refused(
    is_genuine: list[int], fold: list[int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        scored([0.8, 0.2, 0.3, 0.1], is_genuine, fold)


def test_similarities_must_be_finite_and_one_per_pair() -> None:
    with pytest.raises(ShapeError, match="finite"):
        scored([0.8, np.nan, 0.3, 0.1], [1, 0, 1, 0], [0, 0, 1, 1])
    with pytest.raises(ShapeError, match="is_genuine"):
        scored([0.8, 0.1, 0.3, 0.1], [1, 0, 1], [0, 0, 1, 1])


def test_scored_pairs_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        TWO_FOLDS.similarities[0] = 1.0
