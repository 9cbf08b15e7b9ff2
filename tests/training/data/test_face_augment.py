"""Augmentation of aligned crops: what stays, what moves, and that chance is all in the generator."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.align.five_point import template
from vultus.errors import ShapeError
from vultus.training.data.face_augment import AUGMENTATIONS, FaceAugmentation, augment_face
from vultus.training.data.face_covers import cover_face
from vultus.training.data.photometric import PhotometricSettings
from vultus.training.data.shards import ShardFaces
from vultus.types import Image

NONE = AUGMENTATIONS["none"]
ALWAYS_MIRROR = FaceAugmentation(mirror_chance=1.0)


@pytest.fixture
def face(heldout: ShardFaces) -> Image:
    return heldout.crop(200)


def augmented(crop: Image, how: FaceAugmentation, *, seed: int = 0, size_px: int = 112) -> Image:
    return augment_face(crop, np.random.default_rng(seed), augmentation=how, size_px=size_px)


def test_none_is_the_middle_of_the_crop_to_the_bit(face: Image) -> None:
    np.testing.assert_array_equal(augmented(face, NONE), face[8:120, 8:120])
    np.testing.assert_array_equal(augmented(face[8:120, 8:120], NONE), face[8:120, 8:120])
    np.testing.assert_array_equal(augmented(face, NONE, size_px=128), face)


def test_the_mirror_image_is_that_of_the_aligned_crop_to_the_bit(face: Image) -> None:
    np.testing.assert_array_equal(augmented(face, ALWAYS_MIRROR), face[8:120, 8:120][:, ::-1])


def test_half_of_the_crops_are_mirrored(face: Image) -> None:
    mirrored = face[8:120, 8:120][:, ::-1]
    count = sum(
        np.array_equal(augmented(face, AUGMENTATIONS["mirror"], seed=i), mirrored) for i in range(200)
    )
    assert 75 <= count <= 125


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_chance_gives_the_same_picture_and_the_crop_is_left_alone(face: Image, name: str) -> None:
    before = face.copy()
    how = AUGMENTATIONS[name]
    for seed in range(20):
        np.testing.assert_array_equal(augmented(face, how, seed=seed), augmented(face, how, seed=seed))
    np.testing.assert_array_equal(face, before)
    pictures = {augmented(face, how, seed=seed).tobytes() for seed in range(20)}
    assert len(pictures) == {"none": 1, "mirror": 2}.get(name, 20)


def dotted(points: NDArray[np.float64], side: int) -> Image:
    """A black crop with a soft white dot at each point."""
    rows, columns = np.mgrid[:side, :side]
    squares = [(columns - x) ** 2 + (rows - y) ** 2 for x, y in points]
    light = 255 * np.exp(-np.array(squares) / 8).max(axis=0)
    return np.repeat(light[..., None].astype(np.uint8), 3, axis=2)


def centres(picture: Image) -> NDArray[np.float64]:
    """The centres of three dots: the upper one, then the lower ones from left to right."""
    count, _, _, found = cv2.connectedComponentsWithStats((picture[..., 0] > 60).astype(np.uint8))
    assert count == 4
    dots = np.array(found[1:], dtype=np.float64)
    dots = dots[np.argsort(dots[:, 1])]
    return np.concatenate([dots[:1], dots[1:][np.argsort(dots[1:, 0])]])


@pytest.mark.parametrize("side", [112, 128, 160])
def test_scale_and_rotation_turn_about_the_centre(side: int) -> None:
    middle = (side - 1) / 2
    crop = dotted(
        np.array([(middle, middle - 20), (middle - 25, middle + 15), (middle + 25, middle + 15)]), side
    )
    still = centres(augmented(crop, NONE)) - 55.5
    np.testing.assert_allclose(still, [(0, -20), (-25, 15), (25, 15)], atol=0.3)
    larger = centres(augmented(crop, FaceAugmentation(mirror_chance=0, scale=(1.2, 1.2)))) - 55.5
    np.testing.assert_allclose(larger, 1.2 * still, atol=0.3)
    turned = centres(augmented(crop, FaceAugmentation(mirror_chance=0, rotation_degrees=15))) - 55.5
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(still, axis=1), atol=0.3)
    assert np.abs(turned - still).max() > 0.5


def test_shift_scale_and_rotation_stay_within_their_limits() -> None:
    crop = dotted(np.array([(63.5, 43.5), (38.5, 78.5), (88.5, 78.5)]), 128)
    still = centres(augmented(crop, NONE))
    how = replace(AUGMENTATIONS["strong"], mirror_chance=0.0, light=None, cover_chance=0.0, coarse_chance=0.0)
    moved = np.array([centres(augmented(crop, how, seed=seed)) for seed in range(200)])
    length = np.linalg.norm(moved[:, 2] - moved[:, 1], axis=1)
    assert 0.88 * 50 - 0.3 <= length.min() < 0.92 * 50
    assert 1.08 * 50 < length.max() <= 1.12 * 50 + 0.3
    angles = np.degrees(np.arctan2(*(moved[:, 2] - moved[:, 1]).T[::-1]))
    assert -10.3 <= angles.min() < -8 < 8 < angles.max() <= 10.3
    flat = replace(how, scale=(1.0, 1.0), rotation_degrees=0.0)
    shift = np.array([centres(augmented(crop, flat, seed=seed)) for seed in range(200)]) - still
    assert -5.3 <= shift.min() < -4 < 4 < shift.max() <= 5.3
    np.testing.assert_allclose(shift[:, :1].repeat(3, axis=1), shift, atol=0.4)  # all points alike


def test_what_moves_in_comes_from_the_margin_not_from_nowhere() -> None:
    crop = np.zeros((128, 128, 3), np.uint8)
    crop[:8], crop[:, :8], crop[120:], crop[:, 120:] = 255, 255, 255, 255  # the margin is white
    how = FaceAugmentation(mirror_chance=0, shift_px=6.0)
    pictures = [augmented(crop, how, seed=seed) for seed in range(20)]
    assert all(picture.max() == 255 for picture in pictures)


def test_what_lies_beyond_the_crop_is_its_mirror_image_not_black() -> None:
    white = np.full((112, 112, 3), 255, np.uint8)
    how = FaceAugmentation(shift_px=6.0, scale=(0.8, 1.0), rotation_degrees=20.0)
    assert all(augmented(white, how, seed=seed).min() == 255 for seed in range(10))


def test_a_coarse_picture_has_lost_detail(face: Image) -> None:
    how = FaceAugmentation(mirror_chance=0, coarse_chance=1.0, coarse_px=(24, 24))
    sharp, coarse = (cv2.Laplacian(augmented(face, one), cv2.CV_64F).var() for one in (NONE, how))
    assert coarse < sharp / 10
    difference = augmented(face, how).astype(int) - augmented(face, NONE)
    assert abs(difference.mean()) < 2  # it is the same face


def test_light_changes_colours_and_moves_nothing(face: Image) -> None:
    gray = PhotometricSettings(chance_each=0.0, gray_chance=1.0, blur_chance=0.0, jpeg_chance=0.0)
    picture = augmented(face, FaceAugmentation(mirror_chance=0, light=gray))
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])
    expected = cv2.cvtColor(face[8:120, 8:120], cv2.COLOR_RGB2GRAY)
    assert np.abs(picture[..., 0].astype(int) - expected).max() <= 1


def test_every_knob_of_strong_is_at_least_that_of_light() -> None:
    light, strong = AUGMENTATIONS["light"], AUGMENTATIONS["strong"]
    for field in fields(FaceAugmentation):
        weak, powerful = getattr(light, field.name), getattr(strong, field.name)
        if isinstance(weak, float):
            assert powerful >= weak, field.name
    assert strong.scale[0] < light.scale[0] < 1 < light.scale[1] < strong.scale[1]
    assert light.light is not None
    assert strong.light is not None
    assert strong.light.brightness > light.light.brightness


@pytest.mark.parametrize("shape", [(100, 100, 3), (128, 112, 3), (128, 128), (128, 128, 4)])
def test_what_is_no_square_crop_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        augmented(np.zeros(shape, np.uint8), NONE)


def test_covers_lie_on_the_same_parts_of_a_face_with_a_margin() -> None:
    plain = np.full((112, 112, 3), 150, np.uint8)
    wide = np.full((128, 128, 3), 150, np.uint8)
    alike = [
        np.array_equal(
            cover_face(wide, np.random.default_rng(seed))[8:120, 8:120],
            cover_face(plain, np.random.default_rng(seed)),
        )
        for seed in range(30)
    ]
    assert 12 <= sum(alike) < 30  # masks and glasses; a block may lie anywhere


@pytest.mark.parametrize("side", [112, 128])
def test_covers_hide_parts_of_the_face_and_leave_the_rest(side: int) -> None:
    crop = np.full((side, side, 3), (200, 150, 120), np.uint8)
    before = crop.copy()
    points = template(side, margin_px=(side - 112) // 2).round().astype(int)
    hidden = []
    for seed in range(120):
        covered = cover_face(crop, np.random.default_rng(seed))
        is_hidden = (covered != crop).any(axis=2)
        assert 0.01 < is_hidden.mean() < 0.45
        hidden.append([bool(is_hidden[y, x]) for x, y in points])
    np.testing.assert_array_equal(crop, before)
    left_eye, right_eye, nose, left_mouth, right_mouth = np.array(hidden).T
    masked = nose & left_mouth & right_mouth & ~left_eye & ~right_eye
    in_glasses = left_eye & right_eye & ~nose & ~left_mouth & ~right_mouth
    assert 20 <= masked.sum() <= 60
    assert 20 <= in_glasses.sum() <= 60
    assert (~masked & ~in_glasses).sum() >= 20
