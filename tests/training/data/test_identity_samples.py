"""Batches of faces: shapes, labels, rows, and pictures that depend on nothing but the seed and the draw."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vultus.training.data.crop_cache import cached
from vultus.training.data.face_augment import AUGMENTATIONS
from vultus.training.data.identities import Selection, select
from vultus.training.data.identity_samples import FaceSamples, normalised
from vultus.training.data.samplers import pxk
from vultus.training.data.shards import ShardFaces
from vultus.training.samples import Draw, PlannedBatches, Samples


@pytest.fixture
def faces(heldout: ShardFaces) -> Selection:
    return select(heldout, np.arange(0, 4798, 60))


def test_a_batch_has_images_labels_and_rows(faces: Selection) -> None:
    samples: Samples = FaceSamples(faces, seed=0, augmentation=AUGMENTATIONS["none"])
    batch = samples.batch([Draw(0, 0, 7), Draw(0, 0, 3)])
    assert len(samples) == 80
    assert batch.images.shape == (2, 3, 112, 112)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.tolist() == faces.identity_index[[7, 3]].tolist()
    assert batch.rows.tolist() == [7, 3]
    assert batch.labels.dtype == batch.rows.dtype == torch.int64
    expected: NDArray[np.uint8] = faces.crop(3)[8:120, 8:120].transpose(2, 0, 1)  # RGB stays RGB
    np.testing.assert_array_equal(batch.images[1].numpy(), expected)


def test_the_same_draw_gives_the_same_picture_in_any_batch(faces: Selection) -> None:
    samples = FaceSamples(faces, seed=5, augmentation=AUGMENTATIONS["strong"])
    draws = [Draw(1, 2, sample) for sample in (4, 9, 30, 60)]
    together = samples.batch(draws).images
    again = FaceSamples(faces, seed=5, augmentation=AUGMENTATIONS["strong"])
    alone = torch.cat([again.batch([draw]).images for draw in reversed(draws)]).flip(0)
    assert torch.equal(together, alone)


@pytest.mark.parametrize("other", [Draw(2, 2, 4), Draw(1, 3, 4)])
def test_another_epoch_or_batch_gives_another_picture(faces: Selection, other: Draw) -> None:
    samples = FaceSamples(faces, seed=5)
    first, second = samples.batch([Draw(1, 2, 4), other]).images
    assert not torch.equal(first, second)
    assert not torch.equal(first, FaceSamples(faces, seed=6).batch([Draw(1, 2, 4)]).images[0])


def test_a_crop_that_a_batch_names_twice_is_two_pictures(faces: Selection) -> None:
    samples = FaceSamples(faces, seed=0)
    draw = Draw(0, 0, 4)
    images = samples.batch([draw, draw, Draw(0, 0, 5), draw]).images
    assert not torch.equal(images[0], images[1])
    assert not torch.equal(images[1], images[3])
    assert torch.equal(images[0], samples.batch([draw]).images[0])


def test_people_with_one_crop_make_k_different_pictures(faces: Selection) -> None:
    few = select(faces, np.unique(faces.identity_index, return_index=True)[1][:4])
    plan = pxk(few.identity_index, people=4, crops_each=3, seed=0)
    (draws,) = list(PlannedBatches(plan))
    batch = FaceSamples(few, seed=0).batch(draws)
    assert len({image.numpy().tobytes() for image in batch.images}) == 12
    assert batch.labels.view(4, 3).eq(batch.labels.view(4, 3)[:, :1]).all()


def test_kept_crops_make_the_same_batches(faces: Selection, tmp_path: Path) -> None:
    draws = [Draw(0, 0, sample) for sample in range(0, 80, 9)]
    kept = FaceSamples(cached(faces, tmp_path), seed=3).batch(draws)
    for one, other in zip(kept, FaceSamples(faces, seed=3).batch(draws), strict=True):
        assert torch.equal(one, other)


def test_the_size_can_be_another(faces: Selection) -> None:
    small = FaceSamples(faces, seed=0, size_px=96).batch([Draw(0, 0, 0)])
    assert small.images.shape == (1, 3, 96, 96)


def test_normalised_images_are_floats_about_zero(faces: Selection) -> None:
    images = FaceSamples(faces, seed=0).batch([Draw(0, 0, 0), Draw(0, 0, 1)]).images
    floats = normalised(images)
    assert floats.dtype == torch.float32
    assert floats.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(floats, (images.double() - 127.5).div(127.5).float())
    torch.testing.assert_close(normalised(images, std=128.0), (images.double() - 127.5).div(128).float())


@pytest.mark.parametrize("is_cached", [False, True])
def test_samples_go_to_another_process(faces: Selection, tmp_path: Path, *, is_cached: bool) -> None:
    few = select(faces, np.arange(4))
    samples = FaceSamples(cached(few, tmp_path) if is_cached else few, seed=0)
    copy = pickle.loads(pickle.dumps(samples))
    draws = [Draw(0, 0, 1), Draw(0, 0, 3)]
    assert torch.equal(copy.batch(draws).images, samples.batch(draws).images)
