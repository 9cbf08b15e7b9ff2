"""Landmark crops: wherever a face is turned and moved to, its landmarks stay on it."""

import numpy as np
import pytest

from vultus.training.data.landmark_crops import box_around, landmark_crops, transformed
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
    turned, points = transformed(dotted(), POINTS, np.random.default_rng(seed))
    assert 32 <= min(turned.shape[:2]) <= 128
    assert points.min() >= 0
    assert min(brightness_at(turned, points)) > 120


def test_transforms_rotate_both_ways_and_keep_the_order_of_the_points() -> None:
    chance = np.random.default_rng(0)
    tilts = []
    for _ in range(60):
        _, points = transformed(dotted(), POINTS, chance)
        right, down = points[1] - points[0], points[3] - points[0]
        tilts.append(np.degrees(np.arctan2(right[1], right[0])))
        assert right[0] * down[1] > right[1] * down[0]  # the mouth is below the eyes: no reflection
    assert min(tilts) < -15
    assert max(tilts) > 15
    assert np.abs(tilts).max() < 42


@pytest.mark.parametrize("size_px", [12, 24, 48])
def test_crops_show_the_face_with_its_landmarks_in_place(size_px: int) -> None:
    crops = landmark_crops(dotted(), POINTS, np.random.default_rng(1), size_px=size_px, count=12)
    assert crops.images.shape == (12, 3, size_px, size_px)
    assert (crops.kinds == CropKind.LANDMARK).all()
    assert len({tuple(row) for row in crops.landmarks.tolist()}) == 12
    found = []
    for image, row in zip(crops.images, crops.landmarks, strict=True):
        points = row.reshape(2, 5).T
        is_inside = (points >= 0).all(axis=1) & (points < 1).all(axis=1)
        found += brightness_at(image.transpose(1, 2, 0), points[is_inside] * size_px)
    assert len(found) > 45
    assert np.median(found) > 90  # of 60 around the dots and 255 on them, blurred by the reduction


def test_the_box_of_a_face_moves_and_grows_with_its_landmarks() -> None:
    (box,) = box_around(POINTS)
    np.testing.assert_allclose(box, [22, 18, 105, 128], atol=2)
    np.testing.assert_allclose(box_around(POINTS * 2 + 10)[0], box * 2 + 10, rtol=1e-4)
