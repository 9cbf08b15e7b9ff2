"""1:N search by hand, against a loop over everything, and at its edges."""

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.evaluate import cmc, fnir_at_fpir, open_set_curve, search_gallery
from vultus.evaluate.identification import Searches
from vultus.types import Embeddings


def unit(*degrees: float) -> Embeddings:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def random_unit(count: int, *, seed: int, size: int = 6) -> Embeddings:
    vectors = np.random.default_rng(seed).normal(size=(count, size))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def cosine(degrees: float) -> float:
    return float(np.cos(np.deg2rad(degrees)))


def test_ranks_and_scores_by_hand() -> None:
    """Enrolled at 0, 40 and 90 degrees are the people 0, 1, 2; probes at 10, 30 and 80; a stranger at 60."""
    searches = search_gallery(
        unit(0, 40, 90), [0, 1, 2], probes=unit(10, 30, 80, 60), probe_identity=[0, 0, 2, 7]
    )
    assert searches.gallery_size == 3
    assert searches.ranks.tolist() == [1, 2, 1]
    np.testing.assert_allclose(searches.mate_scores, [cosine(10), cosine(30), cosine(10)], atol=1e-6)
    np.testing.assert_allclose(searches.stranger_scores, [cosine(20)], atol=1e-6)
    assert [(one.rank, one.n_found) for one in cmc(searches)] == [(1, 2), (2, 3), (3, 3)]
    assert cmc(searches)[0].rate == pytest.approx(2 / 3)


def test_a_person_scores_what_the_closest_of_their_faces_scores() -> None:
    searches = search_gallery(unit(0, 100, 60), [4, 4, 9], probes=unit(95, 62), probe_identity=[4, 9])
    assert searches.ranks.tolist() == [1, 1]
    np.testing.assert_allclose(searches.mate_scores, [cosine(5), cosine(2)], atol=1e-6)


def test_ties_count_against_us() -> None:
    same = np.repeat(unit(0), 5, axis=0)  # a network that answers every face with the same vector
    searches = search_gallery(same, [0, 1, 2, 3, 4], probes=same[:2], probe_identity=[0, 4])
    assert searches.ranks.tolist() == [5, 5]
    assert cmc(searches)[0].rate == 0


def test_a_probe_without_a_face_is_a_miss_and_a_stranger_without_one_is_left_out() -> None:
    searches = search_gallery(
        unit(0, 90),
        [0, 1],
        probes=unit(0, 0, 45, 45),
        probe_identity=[0, 0, 8, 9],
        has_face=np.array([True, False, True, False]),
    )
    assert searches.ranks.tolist() == [1, 3]
    assert len(searches.stranger_scores) == 1
    assert cmc(searches, max_rank=9)[-1].rate == 0.5  # at no rank found


def plain(
    gallery: Embeddings, owners: list[int], probes: Embeddings, persons: list[int]
) -> tuple[list[int], list[float], list[float]]:
    """Ranks and scores of mated probes, best scores of strangers: one comparison at a time."""
    ranks, mates, strangers = [], [], []
    for probe, person in zip(probes, persons, strict=True):
        scores: dict[int, float] = {}
        for face, owner in zip(gallery, owners, strict=True):
            scores[owner] = max(scores.get(owner, -2.0), float(probe @ face))
        if person not in scores:
            strangers.append(max(scores.values()))
            continue
        mates.append(scores[person])
        ranks.append(sum(score >= scores[person] for score in scores.values()))
    return ranks, mates, strangers


@pytest.mark.parametrize("seed", range(5))
def test_against_one_comparison_at_a_time(seed: int) -> None:
    chance = np.random.default_rng(seed)
    owners = [int(one) for one in chance.integers(0, 30, size=70)]
    persons = [int(one) for one in chance.integers(0, 45, size=700)]  # more than one block; some enrolled
    gallery, probes = random_unit(70, seed=seed), random_unit(700, seed=seed + 100)
    ranks, mates, strangers = plain(gallery, owners, probes, persons)
    assert len(strangers) > 100
    found = search_gallery(gallery, owners, probes=probes, probe_identity=persons)
    np.testing.assert_allclose(found.mate_scores, mates, atol=1e-6)
    np.testing.assert_allclose(found.stranger_scores, strangers, atol=1e-6)
    assert np.mean(found.ranks == ranks) > 0.999  # a tie in one order of summation is none in the other
    for one in cmc(found, max_rank=10):
        by_hand = sum(rank <= one.rank for rank in found.ranks) / len(ranks)
        assert one.rate == pytest.approx(by_hand)
        assert one.interval.low <= one.rate <= one.interval.high


def searches(ranks: list[int], mates: list[float], strangers: list[float]) -> Searches:
    return Searches(
        gallery_size=50,
        mate_scores=np.array(mates, np.float32),
        ranks=np.array(ranks, np.intp),
        stranger_scores=np.array(strangers, np.float32),
    )


def test_fnir_at_fpir_is_a_count_over_a_count() -> None:
    """100 strangers score 0.00 .. 0.99: at FPIR 0.1 ten may be named, so the threshold is just above 0.89."""
    strangers = [i / 100 for i in range(100)]
    mated = searches([1, 1, 2, 1], [0.95, 0.90, 0.99, 0.89], strangers)
    point = fnir_at_fpir(mated, fpir=0.1)
    assert 0.89 < point.threshold < 0.8901
    assert point.n_false_positives == 10
    assert point.fnir == 0.5  # the third is not first, the fourth is below the threshold
    assert (point.gallery_size, point.n_mated, point.n_strangers) == (50, 4, 100)
    assert point.fpir_interval.low < 0.1 < point.fpir_interval.high


@pytest.mark.parametrize("seed", range(3))
def test_no_lower_threshold_keeps_the_rate(seed: int) -> None:
    chance = np.random.default_rng(seed)
    mated = searches([1] * 50, chance.normal(0.6, 0.2, 50).tolist(), chance.normal(0.2, 0.1, 300).tolist())
    point = fnir_at_fpir(mated, fpir=0.05)
    scores = mated.stranger_scores.astype(np.float64)
    assert (scores >= point.threshold).mean() <= 0.05
    next_lower = scores[scores < point.threshold].max()
    assert (scores >= next_lower).mean() > 0.05


def test_the_curve_holds_every_point() -> None:
    mated = searches([1, 1, 2], [0.5, 0.9, 0.95], [0.1, 0.5, 0.6, 0.7])
    curve = open_set_curve(mated)
    assert curve.fmr[0] == 1.0
    assert curve.fnmr[-1] == 1.0
    for threshold, fpir, fnir in zip(curve.thresholds, curve.fmr, curve.fnmr, strict=True):
        by_hand = sum(s >= threshold for s in mated.stranger_scores) / 4
        hits = sum(r == 1 and s >= threshold for r, s in zip(mated.ranks, mated.mate_scores, strict=True))
        assert (fpir, fnir) == (by_hand, pytest.approx(1 - hits / 3))


def test_a_rate_that_the_strangers_cannot_show_is_refused() -> None:
    with pytest.raises(InputError, match="99 probes of people who are not enrolled cannot show"):
        fnir_at_fpir(searches([1], [0.9], [0.1] * 99), fpir=0.1)
    with pytest.raises(InputError, match="0 probes of people who are not enrolled"):
        fnir_at_fpir(searches([1], [0.9], []), fpir=0.1)


def test_nobody_to_search_for_is_refused() -> None:
    nobody = searches([], [], [0.1] * 200)
    for measure in (
        lambda: cmc(nobody),
        lambda: fnir_at_fpir(nobody, fpir=0.1),
        lambda: open_set_curve(nobody),
    ):
        with pytest.raises(InputError):
            measure()
    with pytest.raises(InputError, match="the gallery is empty"):
        search_gallery(unit()[:0].reshape(0, 2), [], probes=unit(0), probe_identity=[0])
    with pytest.raises(ShapeError, match="an identity for each embedding"):
        search_gallery(unit(0), [0, 1], probes=unit(0), probe_identity=[0])
