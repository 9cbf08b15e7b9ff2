"""Crops of aligned faces: wherever a face is turned and moved to, its landmarks stay on it."""

import numpy as np
import pytest

from vultus.geometry.boxes import iou, overlaps
from vultus.training.data.aligned_crops import (
    ALL_KINDS,
    LANDMARKS_ONLY,
    aligned_crops,
    box_around,
    square_inside,
    transformed,
)
from vultus.training.data.mtcnn_crops import MtcnnCrops
from vultus.training.data.mtcnn_targets import Seen
from vultus.training.losses.mtcnn_multitask import CropKind
from vultus.types import FloatArray, Image

POINTS = np.array([[46, 60], [81, 59.5], [64, 80], [49.5, 100], [78.7, 100]], np.float32)


def dotted() -> Image:
    """A grey picture with a white dot on each landmark."""
    image = np.full((128, 128, 3), 60, np.uint8)
    for x, y in np.round(POINTS).astype(int):
        image[y - 3 : y + 3, x - 3 : x + 3] = 255
    return image


def brightness_at(image: Image, points: FloatArray) -> list[int]:
    places = np.floor(points).astype(int)
    return [int(image[y, x].max()) for x, y in places]


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_turn_and_shrink_with_the_picture(seed: int) -> None:
    sample = transformed(dotted(), POINTS, np.random.default_rng(seed))
    assert 48 <= min(sample.size_hw) <= 192
    assert min(brightness_at(sample.image, sample.landmarks[0])) > 120
    np.testing.assert_allclose(sample.boxes, box_around(sample.landmarks[0]))


def test_transforms_rotate_both_ways_and_keep_the_order_of_the_points() -> None:
    chance = np.random.default_rng(0)
    tilts = []
    for _ in range(60):
        points = transformed(dotted(), POINTS, chance).landmarks[0]
        right, down = points[1] - points[0], points[3] - points[0]
        tilts.append(np.degrees(np.arctan2(right[1], right[0])))
        assert right[0] * down[1] > right[1] * down[0]  # the mouth is below the eyes: no reflection
    assert min(tilts) < -15
    assert max(tilts) > 15
    assert np.abs(tilts).max() < 42


def many(size_px: int, **options: object) -> MtcnnCrops:
    chance = np.random.default_rng(1)
    limits = LANDMARKS_ONLY if options else ALL_KINDS
    parts = [aligned_crops(dotted(), POINTS, chance, size_px=size_px, limits=limits) for _ in range(30)]
    return MtcnnCrops(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


@pytest.mark.parametrize("size_px", [12, 24, 48])
def test_crops_show_the_face_with_its_landmarks_in_place(size_px: int) -> None:
    crops = many(size_px)
    assert crops.images.shape == (len(crops.kinds), 3, size_px, size_px)
    found = []
    for image, row in zip(crops.images, crops.landmarks, strict=True):
        points = row.reshape(2, 5).T
        is_inside = (points >= 0).all(axis=1) & (points < 1).all(axis=1)
        found += brightness_at(image.transpose(1, 2, 0), points[is_inside] * size_px)
    assert len(found) > 100
    assert np.median(found) > 90  # of 60 around the dots and 255 on them, blurred by the reduction


def test_a_face_gives_a_few_crops_of_every_kind_or_landmarks_only() -> None:
    counts = np.bincount(many(24).kinds, minlength=4)
    assert counts[CropKind.NEGATIVE] == 30
    assert 15 < counts[CropKind.POSITIVE] <= 30
    assert 15 < counts[CropKind.LANDMARK] <= 30
    assert set(many(24, only=True).kinds.tolist()) == {CropKind.LANDMARK}


def test_a_square_inside_a_face_is_no_face() -> None:
    boxes = box_around(POINTS).repeat(200, axis=0)
    inside = Seen.of_squares(square_inside(boxes, np.random.default_rng(0))).edges
    assert len(inside) == 200
    assert iou(inside, boxes[:1]).max() < 0.3
    assert (overlaps(inside, boxes[:1], overlap="minimum") > 0.5).all()


def test_the_box_of_a_face_moves_and_grows_with_its_landmarks() -> None:
    (box,) = box_around(POINTS)
    np.testing.assert_allclose(box, [22, 18, 105, 128], atol=2)
    np.testing.assert_allclose(box_around(POINTS * 2 + 10)[0], box * 2 + 10, rtol=1e-4)
