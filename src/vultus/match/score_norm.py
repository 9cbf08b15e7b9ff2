"""Score normalisation: how unusual a similarity is, measured against faces of strangers.

A blurred or turned face resembles everybody a little. A *cohort* of strangers shows it: with mu(x) and
sigma(x) the mean and standard deviation of the similarities of x to the cohort,

    z-norm:  z(e, p) = (s(e, p) - mu(e)) / sigma(e)             e enrolled, p the probe
    s-norm:  (z(e, p) + z(p, e)) / 2                            symmetric

Adaptive s-norm takes only the `nearest` of the cohort, those that could be confused with x. Normalised
scores are no cosines: a threshold for them needs a calibration of its own.

Auckenthaler, Carey, Lloyd-Thomas: Score normalization for text-independent speaker verification systems.
Digital Signal Processing 10 (2000).
Matejka et al.: Analysis of score normalization in multilingual speaker recognition. Interspeech 2017.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError
from vultus.match.cosine import checked_unit_rows
from vultus.types import Embeddings

BLOCK = 4096  # faces compared with the cohort at once


class Cohort:
    """Faces of strangers, one for each of many people who are neither enrolled nor probes.

    Args:
        embeddings: (C, D) unit rows.
        nearest: take the so many most similar ones only; None takes all.

    Raises:
        ShapeError: the embeddings are not (C, D) unit rows.
        InputError: fewer than two strangers, or `nearest` below two or more than there are.
    """

    def __init__(self, embeddings: Embeddings, *, nearest: int | None = None) -> None:
        self._rows = checked_unit_rows(embeddings, what="cohort embeddings")
        self._nearest = len(self._rows) if nearest is None else nearest
        if not 2 <= self._nearest <= len(self._rows):
            raise InputError(
                f"a cohort of {len(self._rows)} cannot give the {self._nearest} nearest; 2 or more"
            )

    def statistics(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """(2, N) the mean and the standard deviation of each face's similarities to the cohort.

        Raises:
            ShapeError: not (N, D) unit rows of the cohort's D.
        """
        rows = checked_unit_rows(embeddings)
        if rows.shape[1] != self._rows.shape[1]:
            raise ShapeError(f"expected embeddings of {self._rows.shape[1]} dimensions, got {rows.shape[1]}")
        parts = [self._statistics(rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)]
        return np.concatenate([np.empty((2, 0)), *parts], axis=1)

    def z_norm(self, similarities: ArrayLike, enrolled: Embeddings) -> NDArray[np.float64]:
        """(N,) the similarities of N comparisons, each in the light of its enrolled face (N, D)."""
        mean, deviation = self.statistics(enrolled)
        return np.asarray((np.asarray(similarities, np.float64) - mean) / deviation)

    def s_norm(
        self, similarities: ArrayLike, enrolled: Embeddings, *, probes: Embeddings
    ) -> NDArray[np.float64]:
        """(N,) the similarities of N comparisons, each in the light of both its faces (N, D)."""
        return (self.z_norm(similarities, enrolled) + self.z_norm(similarities, probes)) / 2

    def _statistics(self, rows: Embeddings) -> NDArray[np.float64]:
        scores = (rows @ self._rows.T).astype(np.float64)  # (B, C)
        nearest = np.partition(scores, -self._nearest, axis=1)[:, -self._nearest :]
        return np.stack([nearest.mean(axis=1), nearest.std(axis=1)])
