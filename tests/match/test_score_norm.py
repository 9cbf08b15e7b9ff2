"""Similarities in the light of a cohort."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.match import Cohort
from vultus.types import Embeddings


def rows(count: int, seed: int) -> Embeddings:
    vectors = np.random.default_rng(seed).normal(size=(count, 16))
    unit: Embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def naive_z(similarity: float, face: NDArray[np.float32], cohort: Embeddings, nearest: int) -> float:
    scores = sorted((float(one @ face) for one in cohort), reverse=True)[:nearest]
    mean = sum(scores) / nearest
    deviation = float(np.sqrt(sum((one - mean) ** 2 for one in scores) / nearest))
    return (similarity - mean) / deviation


@pytest.mark.parametrize("nearest", [None, 2, 7])
def test_it_is_what_the_formula_gives(nearest: int | None) -> None:
    strangers, enrolled, probes = rows(30, 1), rows(5, 2), rows(5, 3)
    similarities = np.einsum("nd,nd->n", enrolled, probes)
    cohort = Cohort(strangers, nearest=nearest)
    z = cohort.z_norm(similarities, enrolled)
    s = cohort.s_norm(similarities, enrolled, probes=probes)
    assert z.shape == s.shape == (5,)
    for i, similarity in enumerate(similarities):
        ours = naive_z(float(similarity), enrolled[i], strangers, nearest or 30)
        theirs = naive_z(float(similarity), probes[i], strangers, nearest or 30)
        assert z[i] == pytest.approx(ours, rel=1e-4)
        assert s[i] == pytest.approx((ours + theirs) / 2, rel=1e-4)


def test_s_norm_is_symmetric_and_z_norm_is_not() -> None:
    cohort, left, right = Cohort(rows(30, 1)), rows(5, 2), rows(5, 3)
    similarities = np.einsum("nd,nd->n", left, right)
    assert cohort.s_norm(similarities, left, probes=right) == pytest.approx(
        cohort.s_norm(similarities, right, probes=left)
    )
    assert cohort.z_norm(similarities, left) != pytest.approx(cohort.z_norm(similarities, right))


def test_a_face_that_resembles_everybody_counts_for_less() -> None:
    strangers = rows(50, 1)
    everybody = strangers.mean(axis=0, keepdims=True)
    everybody /= np.linalg.norm(everybody)
    faces = np.concatenate([everybody, rows(1, 2)]).astype(np.float32)
    vague, distinct = Cohort(strangers).z_norm([0.5, 0.5], faces)
    assert vague < distinct


def test_impossible_cohorts_are_refused() -> None:
    for nearest in (1, 31):
        with pytest.raises(InputError, match="nearest"):
            Cohort(rows(30, 1), nearest=nearest)
    with pytest.raises(InputError):
        Cohort(rows(1, 1))
    with pytest.raises(ShapeError, match="16 dimensions"):
        Cohort(rows(30, 1)).statistics(np.eye(8, dtype=np.float32))
