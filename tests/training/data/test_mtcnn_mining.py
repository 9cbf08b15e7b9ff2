"""Mined windows: what the trained stages take for faces becomes the next stage's data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vultus.detect.area_means import AreaMeans
from vultus.geometry.boxes import iou
from vultus.image import save_image
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.mtcnn_crops import MtcnnCrops
from vultus.training.data.mtcnn_mining import Cascade, WindowPlan, crops_of, drawn_squares, stage_crops
from vultus.training.data.mtcnn_targets import Seen
from vultus.training.data.sample import Sample
from vultus.training.losses.mtcnn_multitask import CropKind
from vultus.types import FloatArray

NEGATIVE, POSITIVE, PART, LANDMARK = CropKind
PLAN = WindowPlan(
    size_px=24,
    near=10,
    astray=5,
    anywhere=20,
    limits={NEGATIVE: 30, POSITIVE: 20, PART: 10, LANDMARK: 4},
    min_face_px=12,
    seed=0,
)


def sample(ignored: tuple[bool, bool] = (False, False)) -> Sample:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    boxes = np.array([[20, 20, 60, 70], [100, 40, 130, 80]], np.float32)
    landmarks = np.full((2, 5, 2), np.nan, np.float32)
    landmarks[0] = [[30, 40], [50, 40], [40, 50], [32, 60], [48, 60]]
    return Sample(image, boxes, landmarks, np.array(ignored))


class Bright:
    """A P-Net that takes every window for a face whose middle is bright, or an R-Net that takes all."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        if batch.shape[2:] == (24, 24):
            faces = np.full((len(batch), 1), 5, np.float32)
            return np.concatenate([-faces, faces], axis=1), np.zeros((len(batch), 4), np.float32)
        rows, columns = ((side - 10) // 2 for side in batch.shape[2:])
        middle = batch[:, :1, 6 : 6 + 2 * rows : 2, 6 : 6 + 2 * columns : 2]
        faces = np.where(middle > self.threshold, 5, -5).astype(np.float32)
        return np.concatenate([-faces, faces], axis=1), np.zeros((len(batch), 4, rows, columns), np.float32)


def spotted() -> Sample:
    """Black but for one bright square, which is no face."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[80:100, 20:40] = 255
    return sample()._replace(image=image)


@pytest.mark.parametrize("stages", [1, 2])
def test_what_the_cascade_takes_for_a_face_and_is_none_becomes_a_negative(stages: int) -> None:
    cascade = Cascade([Bright(0.5)] * stages, min_face_px=20)
    mined = cascade.squares(AreaMeans(spotted().image))
    assert len(mined) > 0
    assert (iou(mined, [[20, 80, 40, 100]]) > 0).all()
    plan = replace(PLAN, near=0, astray=0, anywhere=0)
    crops = crops_of(spotted(), plan, np.random.default_rng(0), cascade=cascade)
    assert len(crops.kinds) > 0
    assert (crops.kinds == NEGATIVE).all()
    assert crops.images.max() == 255


def test_without_a_cascade_windows_are_drawn_and_each_kind_is_limited() -> None:
    crops = crops_of(sample(), replace(PLAN, near=60), np.random.default_rng(0))
    counts = np.bincount(crops.kinds, minlength=4)
    assert 0 < counts[NEGATIVE] <= 30
    assert 0 < counts[POSITIVE] <= 20
    assert 0 < counts[PART] <= 10
    assert counts[LANDMARK] == 4
    assert not np.isnan(crops.landmarks[crops.kinds == LANDMARK]).any()


@pytest.mark.parametrize("size_px", [12, 24, 48])
def test_crops_are_of_the_stages_size(size_px: int) -> None:
    crops = crops_of(sample(), replace(PLAN, size_px=size_px), np.random.default_rng(0))
    assert crops.images.shape[1:] == (3, size_px, size_px)
    assert len(crops.images) == len(crops.kinds) == len(crops.offsets) == len(crops.mirror_shifts)


def test_squares_are_drawn_near_faces_that_are_learnt_only() -> None:
    squares = drawn_squares(sample((False, True)), replace(PLAN, anywhere=0), np.random.default_rng(0))
    assert len(squares) == 15
    overlaps = iou(Seen.of_squares(squares).edges, sample().boxes)
    assert (overlaps[:10, 0] > 0.2).all()


def annotated(folder: Path, name: str) -> AnnotatedImage:
    shown = sample()
    save_image(shown.image, folder / name)
    return AnnotatedImage(folder / name, shown.boxes, shown.landmarks, shown.is_ignored)


def test_the_same_images_plan_and_seed_make_the_same_crops(tmp_path: Path) -> None:
    images = [annotated(tmp_path, "a.png"), annotated(tmp_path, "b.png")]
    first, again, other = (
        MtcnnCrops(*(np.concatenate(fields) for fields in zip(*stage_crops(images, plan), strict=True)))
        for plan in (PLAN, PLAN, replace(PLAN, seed=1))
    )
    assert len(first.kinds) > 20
    assert all(
        np.array_equal(ours, theirs, equal_nan=True) for ours, theirs in zip(first, again, strict=True)
    )
    assert not np.array_equal(first.images[:20], other.images[:20])


def test_an_image_smaller_than_a_window_gives_no_crops(tmp_path: Path) -> None:
    save_image(np.zeros((11, 40, 3), np.uint8), tmp_path / "tiny.png")
    tiny = AnnotatedImage(tmp_path / "tiny.png", *(sample()[1:]))
    assert list(stage_crops([tiny], PLAN)) == []
