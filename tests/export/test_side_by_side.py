"""Several embedders over the same detections: each gets the accuracy that it has alone."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vultus.embed.embedder import SessionEmbedder
from vultus.errors import InputError
from vultus.evaluate.lfw import evaluate_pairs
from vultus.evaluate.one_face import embed_images
from vultus.evaluate.pair_sets import PairSet
from vultus.evaluate.pairs import make_pairs
from vultus.export.side_by_side import SideBySide, accuracies
from vultus.image import save_image
from vultus.types import Detections, FloatArray, Image
from vultus.weights.description import FivePoint, Preprocessing
from vultus.weights.exported import EmbeddingFacts, entry_of

POINTS = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], np.float32)


class OneFace:
    """A detector that finds one face in the middle of every photo."""

    def detect(self, image: Image) -> Detections:
        box = np.array([[20, 20, 100, 110]], np.float32)
        return Detections(box, np.ones(1, np.float32), POINTS[np.newaxis])

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


class Projection:
    """A session that multiplies pixels by chance."""

    def __init__(self, size: int) -> None:
        self._matrix = np.random.default_rng(size).normal(size=(3 * 28 * 28, size)).astype(np.float32)

    def run(self, batch: FloatArray) -> list[FloatArray]:
        return [batch[:, :, ::4, ::4].reshape(len(batch), -1) @ self._matrix]


def embedder(size: int, *, px: int = 112) -> SessionEmbedder:
    fed = Preprocessing(
        size_hw=(px, px),
        mean=(127.5,) * 3,
        std=(128.0,) * 3,
        alignment=FivePoint(size_px=px),
        normalisation="l2",
    )
    name = hashlib.sha256(str(size).encode()).hexdigest()
    facts = EmbeddingFacts(name, "chance", fed, size)
    return SessionEmbedder(entry_of(Path(name), name.encode(), facts), Projection(size))


@pytest.fixture
def pair_set(tmp_path: Path) -> PairSet:
    """Two folds of two genuine and two impostor pairs of blots."""
    rng = np.random.default_rng(1)
    named = []
    for number in range(8):
        blots = [np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((16, 16, 1))) for _ in range(2)]
        is_genuine = number % 4 < 2
        for side, blot in zip("ab", (blots[0], blots[0 if is_genuine else 1]), strict=True):
            noisy = (blot + rng.normal(0, 40, blot.shape)).clip(0, 255).astype(np.uint8)
            save_image(noisy, tmp_path / f"{number}{side}.png")
        named.append((f"{number}a.png", f"{number}b.png"))
    labels = np.tile([True, True, False, False], 2)
    pairs = make_pairs(named, is_genuine=labels, fold=np.repeat(np.arange(2), 4))
    return PairSet(pairs, tmp_path)


def test_each_gets_the_accuracy_that_it_has_alone(pair_set: PairSet) -> None:
    embedders = [embedder(4), embedder(32)]
    together = accuracies(pair_set, embedders, detector=OneFace())
    alone = [
        evaluate_pairs(
            pair_set.pairs, embed_images(pair_set.paths(), detector=OneFace(), embedder=each)
        ).verification.accuracy
        for each in embedders
    ]
    assert together == pytest.approx(alone)
    assert max(together) > 0.7


def test_embedders_that_cut_faces_differently_are_refused() -> None:
    with pytest.raises(InputError, match="all must see the same crops"):
        SideBySide([embedder(4), embedder(4, px=160)])
