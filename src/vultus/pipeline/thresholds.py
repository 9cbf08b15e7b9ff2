"""Which threshold decides, and what it rests on.

In this order: the one the caller gives; one taken from the calibration stored in the gallery; from the one
that comes with the package for these weights; and last the bare number recorded for them, of which no error
rate is known.
"""

from vultus.errors import InputError
from vultus.interfaces import Embedder, Gallery
from vultus.match import (
    Threshold,
    identification_threshold,
    plain_threshold,
    shipped_calibration,
    verification_threshold,
)
from vultus.types import Calibration


def calibration_for(embedder: Embedder, gallery: Gallery | None = None) -> Calibration | None:
    """What similarities mean for these embeddings; None where nobody measured it."""
    stored = None if gallery is None else gallery.calibration()
    if stored is not None and stored.contract == embedder.contract:
        return stored
    return shipped_calibration(embedder.contract)


def threshold_for_pair(
    embedder: Embedder,
    *,
    gallery: Gallery | None = None,
    min_similarity: float | None = None,
    fmr: float | None = None,
) -> Threshold:
    """The threshold for comparing two faces.

    Args:
        embedder: made the embeddings.
        gallery: whose calibration is taken, if it has one.
        min_similarity: the caller's own threshold, which goes before all others.
        fmr: the wanted false match rate; by default the calibration's.

    Raises:
        InputError: no threshold is given and none is known, the given one is no cosine, or the asked rate
            cannot be shown.
    """
    calibration = calibration_for(embedder, gallery)
    if min_similarity is not None:
        return plain_threshold(min_similarity, calibration=calibration)
    if calibration is None:
        return plain_threshold(_recorded(embedder, asked=fmr))
    return verification_threshold(calibration, fmr=fmr)


def threshold_for_gallery(
    embedder: Embedder, gallery: Gallery, *, min_similarity: float | None = None, fpir: float | None = None
) -> Threshold:
    """The threshold for comparing one face with everybody in a gallery of the size it has now.

    Args:
        embedder: made the embeddings.
        gallery: the people.
        min_similarity: the caller's own threshold, which goes before all others.
        fpir: the share of strangers that may be named; by default the calibration's.

    Raises:
        InputError: no threshold is given and none is known, the given one is no cosine, or the asked rate
            cannot be shown for so many templates.
    """
    calibration, count = calibration_for(embedder, gallery), gallery.template_count()
    if min_similarity is not None:
        return plain_threshold(min_similarity, calibration=calibration, comparisons=count)
    if calibration is None:
        return plain_threshold(_recorded(embedder, asked=fpir))
    return identification_threshold(calibration, comparisons=count, fpir=fpir)


def _recorded(embedder: Embedder, *, asked: float | None) -> float:
    if embedder.min_similarity is None or asked is not None:
        raise InputError(
            "nobody has measured what similarities mean for these weights: calibrate them with photos of "
            "your own people (vultus calibrate), or pass min_similarity (a cosine, larger is stricter)"
        )
    return embedder.min_similarity
