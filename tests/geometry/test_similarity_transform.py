"""The fit against scikit-image, against a plain minimisation, and against what a similarity must be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from vultus.errors import ShapeError
from vultus.geometry.similarity_transform import fit_similarity, transform_points

Points = NDArray[np.float64]
POINT_SETS = np.random.default_rng(3).normal(0, 30, (40, 5, 2))
TARGET = np.random.default_rng(4).normal(50, 20, (5, 2))

seeds = st.integers(0, 2**32 - 1)


def rotation_scale(angle_rad: float, scale: float) -> Points:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return scale * np.array([[cos, -sin], [sin, cos]])


def umeyama_by_svd(source: Points, target: Points) -> tuple[Points, float]:
    """The paper's own steps, eq. 34-43, for one set."""
    source_mean, target_mean = source.mean(0), target.mean(0)
    variance = np.mean(np.sum((source - source_mean) ** 2, axis=1))
    covariance = (target - target_mean).T @ (source - source_mean) / len(source)
    u, d, vt = np.linalg.svd(covariance)
    s = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = np.sum(d * s) / variance * (u @ np.diag(s) @ vt)
    matrix = np.column_stack([linear, target_mean - linear @ source_mean])
    moved = source @ linear.T + matrix[:, 2]
    return matrix, float(np.sqrt(np.mean(np.sum((moved - target) ** 2, axis=1))))


@given(seed=seeds, angle=st.floats(-np.pi, np.pi), scale=st.floats(0.01, 100), count=st.integers(2, 9))
def test_a_random_similarity_is_recovered_exactly(seed: int, angle: float, scale: float, count: int) -> None:
    random = np.random.default_rng(seed)
    source, shift = random.normal(0, 40, (1, count, 2)), random.uniform(-500, 500, 2)
    truth = np.column_stack([rotation_scale(angle, scale), shift])[None]
    fit = fit_similarity(source, transform_points(truth, source))
    np.testing.assert_allclose(fit.matrices, truth, atol=1e-7 * scale, rtol=1e-9)
    assert fit.residuals_px[0] < 1e-8 * scale


@given(seed=seeds, is_mirrored=st.booleans())
def test_no_fit_ever_reflects(seed: int, is_mirrored: bool) -> None:
    source = np.random.default_rng(seed).normal(0, 40, (3, 5, 2))
    target = source * [-1, 1] if is_mirrored else np.random.default_rng(seed + 1).normal(0, 40, (3, 5, 2))
    fit = fit_similarity(source, target)
    linear = fit.matrices[:, :, :2]
    assert (np.linalg.det(linear) >= 0).all()
    np.testing.assert_allclose(linear[:, 0, 0], linear[:, 1, 1])  # a rotation with scale, nothing else
    np.testing.assert_allclose(linear[:, 0, 1], -linear[:, 1, 0])


def test_the_fit_equals_the_papers_singular_value_decomposition() -> None:
    fit = fit_similarity(POINT_SETS, TARGET)
    assert len(fit.matrices) == 40
    for i, source in enumerate(POINT_SETS):
        matrix, residual = umeyama_by_svd(source, TARGET)
        np.testing.assert_allclose(fit.matrices[i], matrix, atol=1e-10)
        assert fit.residuals_px[i] == pytest.approx(residual)


def test_the_fit_equals_scikit_image() -> None:
    matrices = fit_similarity(POINT_SETS, TARGET).matrices
    assert len(matrices) == 40
    for matrix, source in zip(matrices, POINT_SETS, strict=True):
        oracle: Any = SimilarityTransform.from_estimate(source, TARGET)
        np.testing.assert_allclose(matrix, oracle.params[:2], atol=1e-9)


@settings(max_examples=30)
@given(seed=seeds)
def test_no_other_similarity_comes_closer(seed: int) -> None:
    random = np.random.default_rng(seed)
    source, target = random.normal(0, 30, (1, 5, 2)), random.normal(0, 30, (1, 5, 2))
    fit = fit_similarity(source, target)
    for _ in range(20):
        a, b, x, y = random.normal(0, 0.05, 4)
        other = fit.matrices + np.array([[a, -b, x], [b, a, y]])
        distances = np.sum((transform_points(other, source) - target) ** 2, axis=-1)
        assert np.sqrt(distances.mean()) >= fit.residuals_px[0]


def test_the_residual_is_the_root_mean_square_distance_in_target_units() -> None:
    source = np.array([[[0, 0], [2, 0], [0, 2], [2, 2]]], dtype=float)
    target = source[0] * 10 + np.array([[3, 0], [-3, 0], [-3, 0], [3, 0]])  # a saddle no similarity follows
    assert fit_similarity(source, target).residuals_px[0] == pytest.approx(3)


def test_every_set_may_have_its_own_target() -> None:
    targets = POINT_SETS[:, ::-1] * 0.5 + 7
    together = fit_similarity(POINT_SETS, targets)
    one = fit_similarity(POINT_SETS[5:6], targets[5])
    np.testing.assert_array_equal(together.matrices[5], one.matrices[0])


@pytest.mark.parametrize("place", [0.0, 1 / 3, 12345.678])
def test_coinciding_points_have_scale_zero_and_the_targets_own_spread(place: float) -> None:
    fit = fit_similarity(np.full((1, 5, 2), place), TARGET)
    np.testing.assert_array_equal(fit.matrices[0, :, :2], 0)
    np.testing.assert_allclose(fit.matrices[0, :, 2], TARGET.mean(0))
    spread = np.sqrt(np.mean(np.sum((TARGET - TARGET.mean(0)) ** 2, axis=1)))
    assert fit.residuals_px[0] == pytest.approx(spread)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_broken_set_is_nan_and_leaves_its_neighbours_alone(poison: float) -> None:
    sets = POINT_SETS[:3].copy()
    sets[1, 2, 0] = poison
    fit = fit_similarity(sets, TARGET)
    assert np.isnan(fit.matrices[1]).all()
    assert np.isnan(fit.residuals_px[1])
    np.testing.assert_array_equal(fit.matrices[[0, 2]], fit_similarity(POINT_SETS[[0, 2]], TARGET).matrices)


def test_no_sets_give_no_transforms() -> None:
    fit = fit_similarity(np.zeros((0, 5, 2)), TARGET)
    assert fit.matrices.shape == (0, 2, 3)
    assert fit.residuals_px.shape == (0,)


@pytest.mark.parametrize(
    ("source", "target"),
    [((5, 2), (5, 2)), ((1, 5, 3), (5, 3)), ((1, 1, 2), (1, 2)), ((2, 5, 2), (4, 2)), ((2, 5, 2), (3, 5, 2))],
)
def test_other_shapes_are_refused(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="points must have shape"):
        fit_similarity(np.zeros(source), np.zeros(target))
