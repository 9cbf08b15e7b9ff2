"""Precision against recall, and the area under the curve."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class PrecisionRecall:
    """What was found, and how much of it was right, from the strictest threshold to the laxest.

    Attributes:
        recall: (T,) found faces / faces, rising; NaN where there are no faces.
        precision: (T,) found faces / predictions; 1 where there is no prediction yet.
        n_faces: how many faces were to be found.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    n_faces: int

    @classmethod
    def of_counts(cls, *, hits: NDArray[np.intp], kept: NDArray[np.intp], n_faces: int) -> Self:
        """The curve of (T,) found faces and (T,) predictions at each threshold."""
        precision = np.divide(hits, kept, out=np.ones(len(hits)), where=kept > 0)
        recall = hits / n_faces if n_faces else np.full(len(hits), np.nan)
        return cls(recall, precision, n_faces)

    @property
    def average_precision(self) -> float:
        """The area under the curve, each precision raised to the greatest at the same or a higher recall.

        Every point counts (no interpolation at 11 or 101 places); 0 if nothing was found, NaN without faces.
        """
        if not self.n_faces:
            return float("nan")
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * envelope))
