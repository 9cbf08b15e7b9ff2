"""Blended faces: made of two crops of the set, the same ones for the same seed, and of nobody."""

from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.training.data.blended import BlendedFaces, random_share
from vultus.training.data.folder import read_folder
from vultus.training.data.identities import IdentitySet


@pytest.fixture(scope="module")
def faces(people: Path) -> IdentitySet:
    return read_folder(people)


def test_every_pixel_lies_between_those_of_two_crops_and_the_first_one_is_known(faces: IdentitySet) -> None:
    blended = BlendedFaces(faces, 2 * len(faces), seed=3)
    whole = np.stack([faces.crop(i) for i in range(len(faces))]).astype(int)
    for index in (0, 5, len(faces) + 5):
        seen = blended.crop(index).astype(int)
        first = whole[index % len(faces)]
        low, high = np.minimum(first, whole), np.maximum(first, whole)
        fits = ((low - 1 <= seen) & (seen <= high + 1)).all(axis=(1, 2, 3))
        assert fits.any(), index


def test_a_seed_gives_the_same_blends_and_each_time_around_others(faces: IdentitySet) -> None:
    one, again = BlendedFaces(faces, 2 * len(faces), seed=0), BlendedFaces(faces, 2 * len(faces), seed=0)
    other = BlendedFaces(faces, 2 * len(faces), seed=1)
    np.testing.assert_array_equal(one.crop(7), again.crop(7))
    assert one.fingerprint == again.fingerprint
    assert one.fingerprint not in (other.fingerprint, faces.fingerprint)
    assert (one.crop(7) != other.crop(7)).any()
    assert (one.crop(7) != one.crop(7 + len(faces))).any()


def test_they_show_nobody(faces: IdentitySet) -> None:
    blended = BlendedFaces(faces, 3, seed=0)
    assert len(blended) == 3
    assert blended.names == ()
    assert blended.identity_index.tolist() == [-1, -1, -1]


def test_shares_are_smooth_and_use_the_whole_range() -> None:
    chance = np.random.default_rng(0)
    shares = np.stack([random_share(chance, size_hw=(128, 112)) for _ in range(200)])
    assert shares.shape == (200, 128, 112)
    assert 0 <= shares.min() < 0.05
    assert 0.95 < shares.max() <= 1
    assert abs(float(shares.mean()) - 0.5) < 0.05
    assert np.quantile(np.abs(np.diff(shares, axis=1)), 0.999) < 0.2  # hardly an edge


def test_no_blend_is_refused(faces: IdentitySet) -> None:
    with pytest.raises(InputError, match="at least one face, got 0"):
        BlendedFaces(faces, 0, seed=0)
