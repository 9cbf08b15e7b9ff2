"""Two embedders on the same faces: accuracy before and after, with one detection of each photo for both."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.embed.embedder import SessionEmbedder
from vultus.errors import InputError
from vultus.evaluate.lfw import evaluate_pairs
from vultus.evaluate.one_face import Progress, embed_images
from vultus.evaluate.pair_sets import PairSet
from vultus.interfaces import Detector
from vultus.types import Crops, Detections, Embeddings, Image


class Accuracies(NamedTuple):
    """10-fold accuracies, 0 to 1."""

    before: float
    after: float


class SideBySide:
    """An `Embedder` that answers with the rows of two, which must cut faces alike.

    Raises:
        InputError: they cut them differently.
    """

    def __init__(self, before: SessionEmbedder, after: SessionEmbedder) -> None:
        if before.preprocessing.alignment != after.preprocessing.alignment:
            raise InputError(
                f"both must see the same crops, got {before.preprocessing.alignment} and "
                f"{after.preprocessing.alignment}"
            )
        self._before, self._after = before, after
        self.contract = f"{before.contract}+{after.contract}"
        self.min_similarity: float | None = None

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        """(N,) whether each face can be cut out."""
        return self._before.alignable(faces)

    def align(self, image: Image, faces: Detections) -> Crops:
        """The crops of these faces."""
        return self._before.align(image, faces)

    def embed(self, crops: Crops) -> Embeddings:
        """(N, 2 D): two unit vectors, one after the other."""
        return np.concatenate([self._before.embed(crops), self._after.embed(crops)], axis=1)


def compare_accuracy(
    pair_set: PairSet,
    before: SessionEmbedder,
    after: SessionEmbedder,
    *,
    detector: Detector,
    on_progress: Progress | None = None,
) -> Accuracies:
    """The accuracies of both embedders over the same detections.

    Args:
        pair_set: such as LFW's.
        before: one embedder.
        after: the other.
        detector: finds the faces.
        on_progress: told how many images were just finished.

    Raises:
        InputError, ImageError: as of the evaluation.
    """
    both = embed_images(
        pair_set.paths(), detector=detector, embedder=SideBySide(before, after), on_progress=on_progress
    )
    size = both.embeddings.shape[1] // 2
    halves = (both.embeddings[:, :size], both.embeddings[:, size:])
    accuracies = [
        evaluate_pairs(pair_set.pairs, replace(both, embeddings=np.ascontiguousarray(half)))
        for half in halves
    ]
    return Accuracies(*(each.verification.accuracy for each in accuracies))
