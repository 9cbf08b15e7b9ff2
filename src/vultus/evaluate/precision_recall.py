"""Precision against recall, and the area under the curve."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

NO_FACE: Final = -1  # the face of a prediction that matches none


@dataclass(frozen=True, eq=False, slots=True)
class PrecisionRecall:
    """What was found, and how much of it was right, from the strictest threshold to the laxest.

    Attributes:
        thresholds: (T,) falling: a prediction counts where its score is >= this.
        recall: (T,) found faces / faces, rising; NaN where there are no faces.
        precision: (T,) found faces / predictions; 1 where there is no prediction yet.
        n_faces: how many faces were to be found.
    """

    thresholds: NDArray[np.float64]
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    n_faces: int

    @classmethod
    def of_predictions(
        cls,
        scores: NDArray[np.float64],
        *,
        is_hit: NDArray[np.bool_],
        is_kept: NDArray[np.bool_],
        thresholds: NDArray[np.float64],
        n_faces: int,
    ) -> Self:
        """The curve at these (T,) falling thresholds.

        Args:
            scores: (P,) of all predictions, falling.
            is_hit: (P,) whether each found a face.
            is_kept: (P,) whether it counts at all: every hit and every false positive.
            thresholds: where to measure.
            n_faces: how many faces were to be found.
        """
        n_above = np.searchsorted(-scores, -thresholds, side="right")  # (T,) predictions with score >= t
        hits, kept = (np.concatenate([[0], np.cumsum(flags)])[n_above] for flags in (is_hit, is_kept))
        recall = hits / n_faces if n_faces else np.full(len(hits), np.nan)
        precision = np.divide(hits, kept, out=np.ones(len(hits)), where=kept > 0)
        return cls(thresholds, recall, precision, n_faces)

    @property
    def average_precision(self) -> float:
        """The area under the curve, each precision raised to the greatest at the same or a higher recall.

        Every point counts (no interpolation at 11 or 101 places); 0 if nothing was found, NaN without faces.
        """
        if not self.n_faces:
            return float("nan")
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * envelope))

    @property
    def highest_recall(self) -> float:
        """The share of the faces that were found at the laxest threshold; NaN without faces."""
        if not self.n_faces:
            return float("nan")
        return float(self.recall[-1]) if len(self.recall) else 0.0
