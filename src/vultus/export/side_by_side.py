"""Several embedders on the same faces: their accuracies, with one detection of each photo for all of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vultus.embed.embedder import SessionEmbedder
from vultus.errors import InputError
from vultus.evaluate.lfw import evaluate_pairs
from vultus.evaluate.one_face import Progress, embed_images
from vultus.evaluate.pair_sets import PairSet
from vultus.interfaces import Detector
from vultus.types import Crops, Detections, Embeddings, Image


class SideBySide:
    """An `Embedder` that answers with the rows of several, which must cut faces alike.

    Args:
        embedders: at least one.

    Raises:
        InputError: they cut faces differently.
    """

    def __init__(self, embedders: Sequence[SessionEmbedder]) -> None:
        cuts = {embedder.preprocessing.alignment for embedder in embedders}
        if len(cuts) != 1:
            raise InputError(f"all must see the same crops, got {' and '.join(map(str, cuts)) or 'none'}")
        self._embedders = embedders
        self.contract = "+".join(embedder.contract for embedder in embedders)
        self.min_similarity: float | None = None

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        """(N,) whether each face can be cut out."""
        return self._embedders[0].alignable(faces)

    def align(self, image: Image, faces: Detections) -> Crops:
        """The crops of these faces."""
        return self._embedders[0].align(image, faces)

    def embed(self, crops: Crops) -> Embeddings:
        """(N, D1 + D2 + ...): unit vectors, one after the other."""
        return np.concatenate([embedder.embed(crops) for embedder in self._embedders], axis=1)


def accuracies(
    pair_set: PairSet,
    embedders: Sequence[SessionEmbedder],
    *,
    detector: Detector,
    on_progress: Progress | None = None,
) -> tuple[float, ...]:
    """The 10-fold accuracy of each embedder, 0 to 1, over the same detections.

    Args:
        pair_set: such as LFW's.
        embedders: which cut faces alike.
        detector: finds the faces.
        on_progress: told how many images were just finished.

    Raises:
        InputError, ImageError: as of the evaluation.
    """
    joined = embed_images(
        pair_set.paths(), detector=detector, embedder=SideBySide(embedders), on_progress=on_progress
    )
    ends = np.cumsum([embedder.embedding_size for embedder in embedders])
    rows = np.split(joined.embeddings, ends[:-1], axis=1)
    results = [evaluate_pairs(pair_set.pairs, replace(joined, embeddings=each)) for each in rows]
    return tuple(result.verification.accuracy for result in results)
