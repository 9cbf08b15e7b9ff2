"""The whole protocol on four pairs that can be scored by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import ShapeError
from vultus.evaluate import EmbeddedImages, Pairs, evaluate_pairs
from vultus.types import Embeddings


def unit(*degrees: float) -> Embeddings:
    """Unit vectors at these angles: the similarity of two is the cosine of the difference."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def embedded_images(embeddings: Embeddings, *, face_count: NDArray[np.intp]) -> EmbeddedImages:
    nowhere = np.full((len(embeddings), 5, 2), np.nan, dtype=np.float32)
    return EmbeddedImages(embeddings, face_count > 0, face_count, nowhere)


def four_pairs() -> Pairs:
    """In each of two folds one genuine and one impostor pair; image 1 is in two of them."""
    return Pairs(
        images=("a1", "a2", "b1", "c1", "c2", "d1"),
        left=np.array([0, 1, 3, 3]),
        right=np.array([1, 2, 4, 5]),
        is_genuine=np.array([True, False, True, False]),
        fold=np.array([0, 0, 1, 1]),
    )


def test_separated_people_are_told_apart() -> None:
    embedded = embedded_images(unit(0, 10, 90, 200, 215, 310), face_count=np.array([1, 1, 1, 2, 1, 1]))
    result = evaluate_pairs(four_pairs(), embedded)
    assert result.verification.accuracy == 1.0
    assert result.verification.equal_error.rate == 0.0
    assert (result.n_images, result.n_with_several_faces) == (6, 1)
    assert result.without_face == ()
    # fold 0 is judged halfway between fold 1's pairs, 15 and 110 degrees apart
    expected = (np.cos(np.deg2rad(15)) + np.cos(np.deg2rad(110))) / 2
    assert result.verification.folds[0].threshold == pytest.approx(expected, abs=1e-6)


def test_a_missed_face_costs_its_genuine_pair_and_every_pair_stays() -> None:
    has_face = np.array([True, False, True, True, True, True])
    embeddings = unit(0, 10, 90, 200, 215, 310) * has_face[:, None]
    embedded = embedded_images(embeddings, face_count=has_face.astype(np.intp))
    result = evaluate_pairs(four_pairs(), embedded)
    assert result.without_face == ("a2",)
    assert result.n_pairs_without_face == 2  # the genuine pair a1-a2 and the impostor pair a2-b1
    assert (result.verification.n_genuine, result.verification.n_impostors) == (2, 2)
    assert (
        result.verification.folds[0].accuracy == 0.5
    )  # the genuine pair is lost, the impostor pair is right


def test_embeddings_of_other_images_are_refused() -> None:
    embedded = embedded_images(unit(0, 10), face_count=np.ones(2, np.intp))
    with pytest.raises(ShapeError, match="expected 6 embedded images, got 2"):
        evaluate_pairs(four_pairs(), embedded)
