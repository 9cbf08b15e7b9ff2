"""Least-squares similarity transforms: rotation, uniform scale and translation, never a reflection.

Umeyama asks for c, R, t that minimise

    e^2 = 1/K sum_k |w_k - (c R z_k + t)|^2

over K point pairs z_k -> w_k, with det R = +1. His answer is a singular value decomposition (eq. 38-43). In
the plane a rotation with scale is one complex number a, the points are complex numbers too, and the same
answer is a division:

    a = sum_k conj(z_k - mean z) (w_k - mean w) / sum_k |z_k - mean z|^2
    b = mean w - a mean z
    T(z) = a z + b,  as a matrix  [ Re a  -Im a  Re b ]
                                  [ Im a   Re a  Im b ]

Multiplying by a complex number cannot mirror the plane: the sign matrix S of eq. 39 and 43 has nothing left
to do.

Umeyama: Least-squares estimation of transformation parameters between two point patterns. IEEE TPAMI 1991.
https://doi.org/10.1109/34.88573
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vultus.errors import ShapeError

FloatPoints: TypeAlias = NDArray[np.floating[Any]]

_ROUNDING = 8 * np.finfo(np.float64).eps  # what subtracting the mean leaves of equal coordinates


class SimilarityTransforms(NamedTuple):
    """N fitted transforms.

    Attributes:
        matrices: (N, 2, 3) float64; `matrix @ (x, y, 1)` is the transformed point.
        residuals_px: (N,) float64, root mean square distance between transformed source and target
            points, in units of the target.
    """

    matrices: NDArray[np.float64]
    residuals_px: NDArray[np.float64]


def fit_similarity(source: FloatPoints, target: FloatPoints) -> SimilarityTransforms:
    """The similarity that takes each set of source points closest to the target points.

    Args:
        source: (N, K, 2) points x y, K >= 2.
        target: (K, 2) points, or (N, K, 2) for a target of its own per set.

    Returns:
        One transform per set. Source points that all coincide leave rotation and scale undetermined:
        the scale is then 0 and the residual that of the target about its mean. A set with a NaN or
        an infinity has NaN for its matrix and its residual.

    Raises:
        ShapeError: the shapes disagree, or there are fewer than two points.
    """
    z, w = _as_complex(source, target)  # (N, K) and (K,) or (N, K)
    with np.errstate(invalid="ignore", over="ignore"):  # non-finite points end in NaN, as promised
        z_mean, w_mean = z.mean(axis=-1, keepdims=True), w.mean(axis=-1, keepdims=True)
        z_centred, w_centred = z - z_mean, w - w_mean
        spread = np.sum(np.abs(z_centred) ** 2, axis=-1, keepdims=True)
        correlation = np.sum(np.conj(z_centred) * w_centred, axis=-1, keepdims=True)
        coincide = spread <= z.shape[-1] * (_ROUNDING * np.abs(z_mean)) ** 2
        a = np.where(coincide, 0, correlation / np.where(coincide, 1, spread))
        b = w_mean - a * z_mean
        residuals = np.sqrt(np.mean(np.abs(a * z_centred - w_centred) ** 2, axis=-1))
    rows = [
        np.concatenate([a.real, -a.imag, b.real], axis=-1),
        np.concatenate([a.imag, a.real, b.imag], axis=-1),
    ]
    broken = ~np.isfinite(residuals)
    matrices = np.stack(rows, axis=-2)  # (N, 2, 3)
    matrices[broken] = np.nan
    return SimilarityTransforms(matrices, np.where(broken, np.nan, residuals))


def transform_points(matrices: NDArray[np.float64], points: FloatPoints) -> NDArray[np.float64]:
    """The (N, K, 2) images of the (N, K, 2) points, each set under its own (2, 3) matrix."""
    moved: NDArray[np.float64] = points @ matrices[:, :, :2].swapaxes(-1, -2) + matrices[:, None, :, 2]
    return moved


def _as_complex(
    source: FloatPoints, target: FloatPoints
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """The points x y as x + iy, in double precision, once their shapes are known to agree."""
    z, w = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if z.ndim != 3 or z.shape[2] != 2 or z.shape[1] < 2:
        raise ShapeError(f"source points must have shape (N, K, 2) with K >= 2, got {z.shape}")
    if w.shape not in (z.shape[1:], z.shape):
        raise ShapeError(f"target points must have shape {z.shape[1:]} or {z.shape}, got {w.shape}")
    return z[..., 0] + 1j * z[..., 1], w[..., 0] + 1j * w[..., 1]
