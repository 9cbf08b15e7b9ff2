"""What a worse probe costs, on pairs that can be followed by hand.

The fakes: an image is one gray value g, its embedding the direction of g degrees; black shows no face.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.evaluate import EmbeddedImages, Pairs, evaluate_robustness, pairs_of_people
from vultus.evaluate.one_face import Change
from vultus.evaluate.people import PeopleImages
from vultus.evaluate.robustness import CLEAN, probes_of, with_template_landmarks
from vultus.types import Image

DEGREES = [0, 2, 40, 44, 80, 86, 120, 128]  # four people with two images each


def image_of(degrees: float) -> Image:
    return np.full((8, 8, 3), degrees, np.uint8)


def embedded(images: Sequence[Image]) -> EmbeddedImages:
    grays = np.array([image[0, 0, 0] for image in images], dtype=np.float64)
    has_face = grays > 0 if len(images) < len(DEGREES) else np.ones(len(images), np.bool_)
    rows = np.stack([np.cos(np.deg2rad(grays)), np.sin(np.deg2rad(grays))], axis=1) * has_face[:, None]
    landmarks = np.tile(np.array([(2, 2), (6, 2), (4, 4), (3, 6), (5, 6)], np.float32), (len(images), 1, 1))
    return EmbeddedImages(rows.astype(np.float32), has_face, has_face.astype(np.intp), landmarks)


def embed(numbers: Sequence[int], change: Change, what: str) -> EmbeddedImages:
    assert "brightness" in what
    return embedded([change(i, image_of(DEGREES[number])) for i, number in enumerate(numbers)])


def everybody_twice() -> Pairs:
    return pairs_of_people(
        PeopleImages(
            people=("a", "b", "c", "d"),
            paths=tuple(Path(f"{i}.png") for i in range(8)),
            identity_index=(0, 0, 1, 1, 2, 2, 3, 3),
        )
    )


def test_the_first_image_is_enrolled_and_the_others_meet_everybody() -> None:
    pairs = everybody_twice()
    assert len(pairs) == 16
    assert set(pairs.left.tolist()) == {0, 2, 4, 6}
    assert probes_of(pairs).images.tolist() == [1, 3, 5, 7]
    assert pairs.is_genuine.sum() == 4


def test_the_threshold_stays_and_the_probes_change() -> None:
    """Half the light halves the angles of the probes: 1, 22, 43 and 64 degrees."""
    clean = embedded([image_of(one) for one in DEGREES])
    good, dark, black = evaluate_robustness(
        everybody_twice(), clean, asked=[("brightness", 0.5), ("brightness", 0.0)], embed=embed, far=0.9
    )
    assert (good.name, good.tar, good.n_lost, good.n_probes) == (CLEAN, 1.0, 0, 4)
    assert good.far <= 0.9
    assert dark.threshold == black.threshold == good.threshold
    left, probes = np.array([0, 40, 80, 120]), np.array([1, 22, 43, 64])
    similarities = np.cos(np.deg2rad(left[None] - probes[:, None]))
    is_same = np.eye(4, dtype=bool)
    assert dark.tar == (similarities[is_same] >= good.threshold).mean()
    assert dark.far == pytest.approx((similarities[~is_same] >= good.threshold).mean())
    assert (black.tar, black.far, black.n_lost) == (0.0, 0.0, 4)
    assert good.accuracy is None  # everybody with everybody has no folds


def test_accuracy_is_over_the_folds_where_there_are_some() -> None:
    pairs = replace(everybody_twice(), fold=np.repeat([0, 1], 8))  # of two genuine, six impostor pairs each
    clean = embedded([image_of(one) for one in DEGREES])
    good, black = evaluate_robustness(pairs, clean, asked=[("brightness", 0.0)], embed=embed, far=0.9)
    assert (good.accuracy, good.standard_error) == (1.0, 0.0)
    assert black.accuracy == 0.75  # every pair scores -1: to reject all of them is right six times of eight


def test_aligned_crops_have_their_landmarks_where_the_template_has_them() -> None:
    clean = with_template_landmarks(embedded([image_of(10)] * 8), size_px=224)
    np.testing.assert_allclose(clean.landmarks[3, 0], np.array([38.2946, 51.6963]) * 2, atol=1e-3)


def test_a_rate_that_the_pairs_cannot_carry_is_refused() -> None:
    clean = embedded([image_of(one) for one in DEGREES])
    with pytest.raises(InputError, match="12 impostor pairs cannot show"):
        evaluate_robustness(everybody_twice(), clean, asked=[], embed=embed, far=0.01)
