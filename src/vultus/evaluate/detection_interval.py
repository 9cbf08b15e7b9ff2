"""How sure an average precision is, when images are what was sampled.

The faces of an image share its light, its crowd and its camera: 1,335 faces in 153 images hold less evidence
than 1,335 faces in as many images would. Each draw of the bootstrap takes as many images as there are, with
replacement, and scores them anew. The scores keep the normalisation of the whole set.

Counts per image and threshold add up, so that all draws together are two products of matrices.
"""

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.detection_ap import THRESHOLDS, WiderMatches
from vultus.types import Interval


def ap_interval(
    matches: WiderMatches,
    *,
    difficulty: str,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """The confidence interval of the average precision at one difficulty.

    Args:
        matches: of the predictions, from `match_widerface`.
        difficulty: "easy", "medium" or "hard".
        confidence: the share of draws inside the interval.
        draws: how many times images are drawn.
        seed: of the draws: the same input gives the same interval.

    Raises:
        InputError: no face counts at this difficulty, or a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie in (0, 1), got {confidence}")
    tail = (1 - confidence) / 2
    areas = ap_draws(matches, difficulty=difficulty, draws=draws, seed=seed)
    low, high = np.nanquantile(areas, [tail, 1 - tail])
    return Interval(float(low), float(high))


def ap_draws(
    matches: WiderMatches, *, difficulty: str, draws: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """The (draws,) average precisions of the drawn images; NaN where none of their faces counts.

    Two detectors that are judged on the same images with the same seed are judged on the same draws: the
    quantiles of the differences tell whether one is better, more sharply than two intervals side by side.

    Raises:
        InputError: no face counts at this difficulty.
    """
    counts = matches.truth.counts[difficulty] & matches.is_judged_face
    if not counts.any():
        raise InputError(f"no face of the judged images counts at {difficulty}: there is nothing to draw")
    judged = np.flatnonzero(matches.is_judged)
    shares = np.full(len(judged), 1 / len(judged))
    times = np.random.default_rng(seed).multinomial(len(judged), shares, size=draws).astype(np.float64)
    hits, kept = (times @ _per_image(matches, flags)[judged] for flags in matches.outcomes(counts))
    image_of_face = np.repeat(np.arange(len(matches.is_judged)), np.diff(matches.truth.first_face))
    n_faces = times @ np.bincount(image_of_face[counts], minlength=len(matches.is_judged))[judged]
    precision = np.divide(hits, kept, out=np.ones_like(hits), where=kept > 0)  # (draws, T)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    areas = np.sum(np.diff(hits, axis=1, prepend=0.0) * envelope, axis=1)
    return np.asarray(np.divide(areas, n_faces, out=np.full(draws, np.nan), where=n_faces > 0))


def _per_image(matches: WiderMatches, flags: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(I, T) how many flagged predictions of each image are there at each threshold."""
    n_images, n_thresholds = len(matches.is_judged), len(THRESHOLDS)
    joins_at = np.searchsorted(-THRESHOLDS, -matches.scores[flags], side="left")  # the first t <= score
    cells = np.bincount(matches.image[flags] * n_thresholds + joins_at, minlength=n_images * n_thresholds)
    return np.asarray(cells.reshape(n_images, n_thresholds).cumsum(axis=1), dtype=np.float64)
