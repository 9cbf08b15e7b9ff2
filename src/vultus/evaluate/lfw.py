"""LFW's verification protocol from end to end: the figures, and beside them what detection did to them.

CFP, AgeDB-30, CALFW, CPLFW and packs are measured by the same rules, each over its own list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vultus.errors import ShapeError
from vultus.evaluate.one_face import EmbeddedImages
from vultus.evaluate.pairs import Pairs
from vultus.evaluate.verification import ScoredPairs, VerificationResult, verification

PROTOCOL = (
    "Folds as published, each judged at the threshold that is most accurate on the others. A "
    "pair is accepted if its similarity >= the threshold. No pair is dropped: an image without a usable face "
    "makes its pairs non-matches (similarity -1). TAR@FAR is over all pairs, not interpolated, with 95 % "
    "Wilson intervals."
)


@dataclass(frozen=True, slots=True)
class PairsResult:
    """The figures of a list of pairs, and how detection failures entered them.

    Attributes:
        verification: accuracy over the folds, equal error rate, TAR at the asked rates: over all pairs.
        n_images: different images in the list.
        n_with_several_faces: images in which a face had to be chosen.
        without_face: the images in which none was found.
        n_pairs_without_face: pairs with such an image; each was scored -1, a non-match.
    """

    verification: VerificationResult
    n_images: int
    n_with_several_faces: int
    without_face: tuple[str, ...]
    n_pairs_without_face: int


def evaluate_pairs(pairs: Pairs, embedded: EmbeddedImages, *, fars: Sequence[float] = ()) -> PairsResult:
    """The protocol's figures for the embeddings of `pairs.images`, in that order.

    Raises:
        ShapeError: there is not one embedding row per image.
        InputError: a false accept rate that this many impostor pairs cannot carry.
    """
    scored = score_pairs(pairs, embedded)
    unseen = ~(embedded.has_face[pairs.left] & embedded.has_face[pairs.right])
    return PairsResult(
        verification=verification(scored, fars=fars),
        n_images=len(pairs.images),
        n_with_several_faces=int(np.count_nonzero(embedded.face_count > 1)),
        without_face=tuple(pairs.images[i] for i in np.flatnonzero(~embedded.has_face)),
        n_pairs_without_face=int(np.count_nonzero(unseen)),
    )


def score_pairs(pairs: Pairs, embedded: EmbeddedImages) -> ScoredPairs:
    """The similarity of every pair, -1 where a face is missing.

    Raises:
        ShapeError: there is not one embedding row per image.
    """
    if len(embedded.has_face) != len(pairs.images):
        raise ShapeError(f"expected {len(pairs.images):,} embedded images, got {len(embedded.has_face):,}")
    similarities = embedded.similarities(pairs.left, pairs.right)
    return ScoredPairs(similarities, pairs.is_genuine, pairs.fold)
