"""Batches of MTCNN's crops: a function of the draws, in the right proportions, mirrored as a whole."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from vultus.detect.mtcnn_stages import network_input as detector_input
from vultus.errors import InputError
from vultus.training.data.mtcnn_batches import (
    MtcnnSamples,
    balanced,
    endless,
    mirrored_landmarks,
    mirrored_offsets,
    network_input,
    uniforms,
)
from vultus.training.data.mtcnn_crops import MtcnnCrops, read_crops, write_crops
from vultus.training.losses.mtcnn_multitask import CropKind
from vultus.training.samples import Draw

NEGATIVE, POSITIVE, PART, LANDMARK = CropKind


def crops(count: int, seed: int = 0) -> MtcnnCrops:
    chance = np.random.default_rng(seed)
    landmarks = chance.random((count, 10), np.float32)
    landmarks[::2] = np.nan
    return MtcnnCrops(
        chance.integers(0, 256, (count, 3, 24, 24), np.uint8),
        (np.arange(count) % 4).astype(np.int8),
        chance.random((count, 4), np.float32),
        landmarks,
        chance.random(count, np.float32),
    )


def draws(samples: list[int], epoch: int = 0) -> list[Draw]:
    return [Draw(epoch, 7, sample) for sample in samples]


def test_a_sample_depends_on_its_draw_alone_not_on_its_neighbours() -> None:
    samples = MtcnnSamples([crops(6), crops(5, 1)], seed=3)
    together = samples.batch(draws([0, 9, 4, 6, 10]))
    for place, sample in enumerate([0, 9, 4, 6, 10]):
        alone = samples.batch(draws([sample]))
        torch.testing.assert_close(together.images[place], alone.images[0], rtol=0, atol=1e-6)
        assert torch.equal(together.targets.offsets[place], alone.targets.offsets[0])
        assert torch.equal(together.targets.landmarks[place], alone.targets.landmarks[0])


def test_every_epoch_shows_a_sample_in_another_way_and_every_seed_too() -> None:
    samples, other = MtcnnSamples([crops(4)], seed=3), MtcnnSamples([crops(4)], seed=4)
    first = samples.batch(draws([0, 1, 2, 3])).images
    assert not torch.equal(first, samples.batch(draws([0, 1, 2, 3], epoch=1)).images)
    assert not torch.equal(first, other.batch(draws([0, 1, 2, 3])).images)
    assert torch.equal(first, samples.batch(draws([0, 1, 2, 3])).images)


def test_without_jitter_pixels_are_what_the_detector_feeds_or_their_mirror_image() -> None:
    source = crops(40)
    batch = MtcnnSamples([source], seed=0, colour_jitter=0).batch(draws(list(range(40))))
    expected = detector_input(source.images.astype(np.float32))
    is_mirrored = 0
    for shown, plain, offsets, stored in zip(
        batch.images.numpy(), expected, batch.targets.offsets.numpy(), source.offsets, strict=True
    ):
        is_same = np.allclose(shown, plain, atol=1e-5)
        is_mirrored += not is_same
        np.testing.assert_allclose(shown, plain if is_same else plain[:, :, ::-1], atol=1e-5)
        assert np.array_equal(offsets, stored) == is_same
    assert 10 < is_mirrored < 30


def test_all_targets_are_finite_though_some_faces_have_no_landmarks() -> None:
    targets = MtcnnSamples([crops(8)], seed=0).batch(draws(list(range(8)))).targets
    assert targets.kinds.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert torch.isfinite(targets.landmarks).all()


def test_a_mirror_swaps_left_and_right() -> None:
    offsets = mirrored_offsets(np.array([[0.1, 0.2, -0.3, 0.4]]), np.array([0.05]))
    np.testing.assert_allclose(offsets, [[0.35, 0.2, -0.05, 0.4]])
    points = np.array([[0.2, 0.7, 0.5, 0.3, 0.6, 0.31, 0.32, 0.5, 0.71, 0.72]])
    np.testing.assert_allclose(
        mirrored_landmarks(points), [[0.3, 0.8, 0.5, 0.4, 0.7, 0.32, 0.31, 0.5, 0.72, 0.71]]
    )
    np.testing.assert_allclose(mirrored_landmarks(mirrored_landmarks(points)), points)


def test_recolouring_keeps_grey_grey_and_what_a_camera_records() -> None:
    grey = np.full((4, 3, 2, 2), 200, np.uint8)
    chances = np.array([[0, 0, 1, 0], [0, 0, -1, 0], [1, 1, 0, 0], [0, 0, 0, 1]], np.float64)
    values = network_input(grey, chances, strength=0.4)
    np.testing.assert_allclose(values[:2], (200 - 127.5) / 128, atol=1e-5)  # saturation leaves grey alone
    np.testing.assert_allclose(values[2], (255 - 127.5) / 128, atol=1e-5)  # clipped
    red, green, blue = values[3, :, 0, 0]
    assert red > green > blue


def test_batches_hold_each_kind_in_its_share_and_each_crop_once_before_any_twice() -> None:
    kinds = np.array([0] * 30 + [1] * 10 + [2] * 5 + [3] * 7, np.int8)
    shares = {NEGATIVE: 3, POSITIVE: 1, PART: 1, LANDMARK: 2}
    plan = balanced(kinds, shares, batch_size=14, batches=5, seed=0)
    batches = [*plan(0), *plan(1)]
    assert len(batches) == 10
    for batch in batches:
        assert np.bincount(kinds[batch], minlength=4).tolist() == [6, 2, 2, 4]
    assert plan(1) == plan(1) != plan(0)
    seen = np.concatenate(batches)  # 60 negatives, 20 positives, 20 parts, 40 landmarks
    counts = np.bincount(seen, minlength=52)
    assert (counts[:40] == 2).all()
    assert (counts[40:45] == 4).all()
    assert set(counts[45:].tolist()) == {5, 6}


def test_a_kind_without_crops_leaves_its_share_to_the_others() -> None:
    plan = balanced(np.zeros(4, np.int8), {NEGATIVE: 3, LANDMARK: 2}, batch_size=4, batches=1, seed=0)
    assert sorted(plan(0)[0]) == [0, 1, 2, 3]


def test_no_crops_are_an_error() -> None:
    with pytest.raises(InputError, match="no crop is of any of the kinds"):
        balanced(np.zeros(4, np.int8), {LANDMARK: 1}, batch_size=4, batches=1, seed=0)
    with pytest.raises(InputError, match="no crop to learn from"):
        MtcnnSamples([crops(0)], seed=0)


def test_shuffles_follow_each_other_without_a_gap() -> None:
    pool = np.array([3, 5, 8])
    whole = endless(pool, 0, 12, seed=(1,))
    assert all(sorted(whole[i : i + 3].tolist()) == [3, 5, 8] for i in range(0, 12, 3))
    np.testing.assert_array_equal(endless(pool, 4, 5, seed=(1,)), whole[4:9])


def test_chances_are_uniform_and_independent() -> None:
    some = uniforms([Draw(e, b, s) for e in range(3) for b in range(20) for s in range(100)], 3, seed=9)
    assert some.shape == (6000, 3)
    assert 0 <= some.min() < 0.01
    assert 0.99 < some.max() < 1
    np.testing.assert_allclose(some.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(some.T), np.eye(3), atol=0.05)
    assert len(np.unique(some)) == some.size


def test_pixels_in_a_file_are_mapped_by_another_process_and_not_sent_to_it(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops", [crops(200)], size_px=24)
    samples = MtcnnSamples([read_crops(tmp_path / "crops"), crops(3, 1)], seed=3)
    sent = pickle.dumps(samples)
    assert len(sent) < (tmp_path / "crops" / "images.npy").stat().st_size / 4
    copy = pickle.loads(sent)
    asked = draws([0, 199, 57, 202])
    assert torch.equal(copy.batch(asked).images, samples.batch(asked).images)
    assert torch.equal(copy.batch(asked).targets.landmarks, samples.batch(asked).targets.landmarks)
