"""Crops, mirror and letterbox: what must hold for any sample, and dots that must move with the landmarks."""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.training.data.augment import (
    data_anchor_crop,
    letterbox,
    mirror,
    photometric,
    random_square_crop,
)
from vultus.training.data.mosaic import mosaic
from vultus.training.data.sample import Sample
from vultus.training.data.window import PAD_VALUE

Change = Callable[[Sample, np.random.Generator], Sample]

MIRRORED = [1, 0, 2, 4, 3]
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255]])
LAYOUT = np.array([[0.3, 0.35], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.7, 0.75]])  # of a face, roughly
SIZE_PX = 96


def face_at(*boxes: tuple[float, ...], size_hw: tuple[int, int] = (120, 160), seed: int = 0) -> Sample:
    """A dark image; each face has dots of five colours, 7 px large, at its landmarks."""
    image = np.random.default_rng(seed).integers(20, 60, (*size_hw, 3), np.uint8)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    points = array[:, None, :2] + LAYOUT * (array[:, None, 2:] - array[:, None, :2])
    points = np.floor(points).astype(np.float32) + 0.5  # the middle of a pixel
    for face in points:
        for (x, y), colour in zip(face, COLOURS, strict=True):
            cv2.rectangle(image, (int(x) - 3, int(y) - 3), (int(x) + 3, int(y) + 3), colour.tolist(), -1)
    return Sample(image, array, points.astype(np.float32), np.zeros(len(array), np.bool_))


def random_sample(seed: int, *, count: int) -> Sample:
    chance = np.random.default_rng(seed)
    height, width = (int(side) for side in chance.integers(2, 160, 2))
    corners = chance.uniform([-5, -5], [width - 0.5, height - 0.5], (count, 2))
    boxes = np.concatenate([corners, corners + 6 + chance.uniform(0, 100, (count, 2))], axis=1)
    landmarks = chance.uniform(-5, 160, (count, 5, 2)).astype(np.float32)
    landmarks[chance.random(count) < 0.5] = np.nan
    image = chance.integers(0, 256, (height, width, 3), np.uint8)
    return Sample(image, boxes.astype(np.float32), landmarks, chance.random(count) < 0.2)


def in_letterbox(sample: Sample, chance: np.random.Generator) -> Sample:
    return letterbox(sample, SIZE_PX)


def in_mirror(sample: Sample, chance: np.random.Generator) -> Sample:
    return mirror(sample)


CHANGES: dict[str, Change] = {
    "crop": partial(random_square_crop, size_px=SIZE_PX),
    "zoom out": partial(random_square_crop, size_px=SIZE_PX, scales=(1.0, 2.5), min_face_px=4),
    "data anchor": partial(data_anchor_crop, size_px=SIZE_PX, min_face_px=4),
    "mosaic": lambda sample, chance: mosaic([sample] * 4, chance, size_px=SIZE_PX),
    "letterbox": in_letterbox,
    "mirror": in_mirror,
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


def is_near(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(pixels.astype(int) - colour).max(axis=-1) < 100)


def middles(sample: Sample, colour: np.ndarray) -> np.ndarray:
    """(K, 2) the middles of the dots of a colour, in coordinates of the sample."""
    _, _, _, centroids = cv2.connectedComponentsWithStats(is_near(sample.image, colour).astype(np.uint8))
    return np.asarray(centroids[1:] + 0.5)


@pytest.mark.parametrize("change", [change for name, change in CHANGES.items() if name != "mosaic"])
def test_landmarks_move_with_the_image(change: Change) -> None:
    sample = face_at((50, 30, 110, 100))
    colours = COLOURS[MIRRORED] if change is in_mirror else COLOURS  # left is right there, the dots are not
    found = 0
    for seed in range(40):
        changed = change(sample, np.random.default_rng(seed))
        height, width = changed.size_hw
        for landmarks in changed.landmarks:
            for (x, y), colour in zip(landmarks, colours, strict=True):
                if 12 < x < width - 12 and 12 < y < height - 12:  # else its dot might be cut; or NaN
                    distances = np.linalg.norm(middles(changed, colour) - (x, y), axis=1)
                    assert distances.min() < 0.6
                    found += 1
    assert found > 60


def test_landmarks_move_with_the_images_of_a_mosaic() -> None:
    sample = face_at((50, 30, 110, 100))
    found = 0
    for seed in range(40):
        changed = mosaic([sample] * 4, np.random.default_rng(seed), size_px=160, scales=(0.6, 1.5))
        for landmarks in changed.landmarks:
            for (x, y), colour in zip(landmarks, COLOURS, strict=True):
                if np.isfinite(x):
                    assert is_near(changed.image[int(y), int(x)], colour)
                    found += 1
    assert found > 200


@each_change
def test_the_same_seed_gives_the_same_sample(change: Change) -> None:
    sample = random_sample(5, count=9)
    first, second = (change(sample, np.random.default_rng(1)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@each_change
def test_the_given_sample_is_left_alone(change: Change) -> None:
    sample = random_sample(6, count=9)
    before = [array.copy() for array in sample]
    for array in sample:
        array.flags.writeable = False
    for array in change(sample, np.random.default_rng(2)):
        array.fill(0)  # a view into the sample could not be written to
    for after, original in zip(sample, before, strict=True):
        np.testing.assert_array_equal(after, original)


@each_change
@given(seed=st.integers(0, 10_000), count=st.integers(0, 12))
@settings(max_examples=60)
def test_boxes_lie_inside_and_landmarks_too_or_unknown(change: Change, seed: int, count: int) -> None:
    changed = change(random_sample(seed, count=count), np.random.default_rng(seed))
    height, width = changed.size_hw
    limits = np.array([width, height])
    assert changed.image.dtype == np.uint8
    assert [array.dtype for array in changed[1:]] == [np.float32, np.float32, np.bool_]
    assert len(changed.boxes) == len(changed.landmarks) == len(changed.is_ignored)
    assert (changed.boxes[:, 2:] > changed.boxes[:, :2]).all()
    if change is in_mirror:  # the only one that does not cut
        return
    assert changed.size_hw == (SIZE_PX, SIZE_PX)
    assert (changed.boxes >= 0).all()
    assert (changed.boxes <= np.tile(limits, 2)).all()
    assert (np.isnan(changed.landmarks) | ((changed.landmarks >= 0) & (changed.landmarks < limits))).all()


@each_change
def test_a_sample_without_faces_stays_one(change: Change) -> None:
    changed = change(random_sample(0, count=0), np.random.default_rng(0))
    assert changed.boxes.shape == (0, 4)
    assert changed.landmarks.shape == (0, 5, 2)
    assert changed.is_ignored.shape == (0,)


@each_change
def test_a_face_of_one_pixel_is_no_trouble(change: Change) -> None:
    sample = face_at((80, 60, 81, 61))
    for seed in range(20):
        changed = change(sample, np.random.default_rng(seed))
        assert (changed.boxes[:, 2:] > changed.boxes[:, :2]).all()


def test_mirroring_twice_is_no_change() -> None:
    sample = random_sample(3, count=10)
    twice = mirror(mirror(sample))
    np.testing.assert_array_equal(twice.image, sample.image)
    np.testing.assert_allclose(twice.boxes, sample.boxes, atol=1e-4)
    np.testing.assert_allclose(twice.landmarks, sample.landmarks, atol=1e-4)
    np.testing.assert_array_equal(twice.is_ignored, sample.is_ignored)


def test_the_mirror_swaps_eyes_and_corners_of_the_mouth() -> None:
    landmarks = np.array([[[2, 1], [6, 2], [4, 3], [3, 5], [5, 6]]], np.float32)
    image = np.zeros((8, 10, 3), np.uint8)
    image[1, 2] = 255
    sample = Sample(image, np.array([[1, 0, 7, 8]], np.float32), landmarks, np.array([False]))
    mirrored = mirror(sample)
    np.testing.assert_array_equal(mirrored.boxes, [[3, 0, 9, 8]])
    np.testing.assert_array_equal(mirrored.landmarks, [[[4, 2], [8, 1], [6, 3], [5, 6], [7, 5]]])
    assert (mirrored.image[1, 7] == 255).all()


def test_half_known_landmarks_are_swapped_as_well() -> None:
    landmarks = np.full((1, 5, 2), np.nan, np.float32)
    landmarks[0, 0] = (2, 1)
    sample = Sample(
        np.zeros((8, 10, 3), np.uint8), np.array([[1, 0, 7, 8]], np.float32), landmarks, np.zeros(1, np.bool_)
    )
    mirrored = mirror(sample).landmarks[0]
    np.testing.assert_array_equal(mirrored[1], [8, 1])
    assert np.isnan(np.delete(mirrored, 1, axis=0)).all()


def test_a_letterbox_centres_the_image_and_pads_the_rest() -> None:
    sample = face_at((40, 0, 80, 120), size_hw=(120, 240))
    boxed = letterbox(sample, 120, pad_value=9)
    assert (boxed.image[:30] == 9).all()
    assert (boxed.image[90:] == 9).all()
    assert (boxed.image[30:90] != 9).all()
    np.testing.assert_array_equal(boxed.boxes, [[20, 30, 40, 90]])


@pytest.mark.parametrize("size_hw", [(1, 1000), (1000, 1), (3, 7), (640, 427)])
def test_a_letterbox_of_any_proportions(size_hw: tuple[int, int]) -> None:
    image = np.full((*size_hw, 3), 250, np.uint8)
    whole = np.array([[0, 0, size_hw[1], size_hw[0]]], np.float32)
    sample = Sample(image, whole, np.full((1, 5, 2), np.nan, np.float32), np.zeros(1, np.bool_))
    boxed = letterbox(sample, 64)
    is_image = (boxed.image == 250).all(axis=2)
    ys, xs = np.nonzero(is_image)
    np.testing.assert_allclose(boxed.boxes, [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], atol=1e-3)


def test_a_crop_holds_a_face_where_there_is_one() -> None:
    sample = face_at((5, 5, 13, 15), size_hw=(200, 300))
    held = 0
    for seed in range(60):
        crop = random_square_crop(sample, np.random.default_rng(seed), size_px=SIZE_PX)
        assert (~crop.is_ignored).any()
        held += 1
    assert held == 60


def test_a_crop_that_need_not_hold_a_face_may_lie_anywhere() -> None:
    sample = face_at((5, 5, 13, 15), size_hw=(200, 300))
    crops = [
        random_square_crop(
            sample, np.random.default_rng(seed), size_px=SIZE_PX, scales=(0.05, 0.2), holds_face=False
        )
        for seed in range(60)
    ]
    assert sum((~crop.is_ignored).any() for crop in crops) < 6
    assert all(crop.image.shape == (SIZE_PX, SIZE_PX, 3) for crop in crops)


def test_the_side_of_a_crop_is_drawn_from_the_scales() -> None:
    sample = face_at((0, 0, 160, 120))
    sides = []
    for seed in range(300):
        crop = random_square_crop(sample, np.random.default_rng(seed), size_px=100, scales=(0.4, 0.8))
        np.testing.assert_allclose(crop.boxes, [[0, 0, 100, 100]], atol=1e-4)  # inside of the image
        eyes = crop.landmarks[0, :2, 0]
        if np.isfinite(eyes).all():
            sides.append(100 * (112.5 - 48.5) / (eyes[1] - eyes[0]))
    assert len(sides) > 20
    assert min(sides) >= 0.4 * 120 - 1
    assert 0.7 * 120 < max(sides) <= 0.8 * 120 + 1


def test_a_zoom_out_shows_the_whole_image_in_padding() -> None:
    sample = face_at((50, 30, 110, 100))
    crop = random_square_crop(sample, np.random.default_rng(0), size_px=120, scales=(2.0, 2.0))
    width = crop.boxes[0, 2] - crop.boxes[0, 0]
    assert width == pytest.approx(60 / 2, abs=0.5)
    is_padding = (crop.image == PAD_VALUE).all(axis=2)
    assert is_padding.mean() == pytest.approx(1 - 80 * 60 / 120**2, abs=0.02)


def test_where_no_square_holds_a_large_enough_face_it_is_the_whole_image() -> None:
    sample = face_at((50, 30, 60, 40))
    crop = random_square_crop(sample, np.random.default_rng(0), size_px=80, min_face_px=300)
    boxed = letterbox(sample, 80, min_face_px=300)
    np.testing.assert_array_equal(crop.image, boxed.image)
    np.testing.assert_array_equal(crop.boxes, boxed.boxes)
    assert crop.is_ignored.all()


def test_ignored_faces_need_not_be_held() -> None:
    sample = face_at((0, 0, 10, 10))._replace(is_ignored=np.array([True]))
    crops = [random_square_crop(sample, np.random.default_rng(seed), size_px=32) for seed in range(20)]
    assert any(len(crop.boxes) == 0 for crop in crops)
    assert all(crop.is_ignored.all() for crop in crops)


@pytest.mark.parametrize("scales", [(0.0, 1.0), (0.9, 0.3), (-1.0, 1.0)])
def test_scales_must_be_positive_and_ascending(scales: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="scales must be"):
        random_square_crop(face_at((0, 0, 9, 9)), np.random.default_rng(0), size_px=32, scales=scales)


def side_of(sample: Sample) -> float:
    width, height = sample.boxes[0, 2:] - sample.boxes[0, :2]
    return float(np.sqrt(width * height))


def test_data_anchor_sampling_brings_the_face_near_an_anchor_size() -> None:
    sample = face_at((100, 100, 150, 170), size_hw=(400, 600))  # 59 px: nearest to 64, so up to 128
    sides = []
    for seed in range(400):
        crop = data_anchor_crop(sample, np.random.default_rng(seed), size_px=320)
        assert not crop.is_ignored.any()
        sides.append(side_of(crop))
    logs = np.log2(sides)
    # The least is 16 / 2, but the square ends at twice the longer side: 59 px * 320 / 1200.
    assert min(sides) == pytest.approx(59.16 * 320 / 1200, rel=0.05)
    assert 200 < max(sides) <= 257
    assert np.mean((logs > 4) & (logs < 5)) > 0.15
    assert np.mean((logs > 6) & (logs < 7)) > 0.15


def test_the_chosen_face_is_seen_as_a_whole() -> None:
    sample = face_at((2, 100, 152, 140), size_hw=(400, 600))  # 150 x 40, at the border
    for seed in range(200):
        crop = data_anchor_crop(sample, np.random.default_rng(seed), size_px=160)
        x1, y1, x2, y2 = crop.boxes[0]
        assert (x2 - x1) / (y2 - y1) == pytest.approx(150 / 40, rel=0.08)
        assert not crop.is_ignored.any()


def test_padding_comes_in_only_where_the_square_is_longer_than_the_image() -> None:
    sample = face_at((2, 100, 62, 170), size_hw=(400, 600))
    paddings = 0
    for seed in range(100):
        crop = data_anchor_crop(sample, np.random.default_rng(seed), size_px=320)
        if side_of(crop) > 320 / 400 * 64.8 * 1.01:
            assert not (crop.image == PAD_VALUE).all(axis=2).any()
        else:
            paddings += 1
    assert 0 < paddings < 100


def test_a_longer_square_has_the_image_anywhere_in_it() -> None:
    sample = face_at((50, 30, 110, 100))  # 65 px: at 16 / 2 to 16 * 2 the square is longer than the image
    shares = []
    for seed in range(60):
        crop = data_anchor_crop(sample, np.random.default_rng(seed), size_px=80, face_sizes=(16,))
        columns = np.flatnonzero((crop.image != PAD_VALUE).any(axis=(0, 2)))
        if len(columns) < 60:
            shares.append(columns[0] / (80 - len(columns)))
    assert len(shares) > 20
    assert min(shares) < 0.2
    assert max(shares) > 0.8


def test_without_faces_the_data_anchor_crop_is_a_random_square_crop() -> None:
    sample = random_sample(8, count=0)
    crops = [
        function(sample, np.random.default_rng(1), size_px=40)
        for function in (data_anchor_crop, random_square_crop)
    ]
    np.testing.assert_array_equal(crops[0].image, crops[1].image)


@pytest.mark.parametrize("face_sizes", [(), (0, 16), (32, 16)])
def test_face_sizes_must_be_positive_and_ascending(face_sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="face_sizes must be positive and ascending"):
        data_anchor_crop(face_at((0, 0, 9, 9)), np.random.default_rng(0), size_px=32, face_sizes=face_sizes)


def test_light_is_part_of_augmentation() -> None:
    image = face_at((0, 0, 90, 90)).image
    assert photometric(image, np.random.default_rng(0)).shape == image.shape
