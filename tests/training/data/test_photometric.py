import colorsys
import math

import numpy as np
import pytest

from vultus.training.data.photometric import PhotometricSettings, colour_matrix, photometric
from vultus.types import Image

NOTHING = PhotometricSettings(chance_each=0, gray_chance=0, blur_chance=0, jpeg_chance=0)


def noise(size: int = 32) -> Image:
    return np.random.default_rng(1).integers(0, 256, (size, size, 3), np.uint8)


def applied(rgb: tuple[float, ...], **changes: float) -> list[float]:
    matrix = colour_matrix(**{"brightness": 0, "contrast": 1, "saturation": 1, "hue_rad": 0, **changes})
    return [round(float(value), 6) for value in matrix @ [*rgb, 1]]


def test_nothing_changed_is_the_same_image() -> None:
    image = noise()
    np.testing.assert_array_equal(photometric(image, np.random.default_rng(0), settings=NOTHING), image)


def test_the_given_image_is_left_alone() -> None:
    image = noise()
    changed = photometric(image, np.random.default_rng(0))
    assert (changed != image).any()
    np.testing.assert_array_equal(image, noise())


def test_brightness_is_added_and_contrast_widens_around_middle_gray() -> None:
    assert applied((10, 20, 30), brightness=5) == [15, 25, 35]
    assert applied((128, 138, 108), contrast=1.5) == [128, 143, 98]


def test_no_saturation_is_the_luma() -> None:
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert applied((200, 100, 50), saturation=0) == pytest.approx([luma] * 3)
    assert applied((200, 100, 50), saturation=2) == pytest.approx([400 - luma, 200 - luma, 100 - luma])


@pytest.mark.parametrize("hue_rad", [-1.0, 0.3, math.pi])
def test_hue_keeps_gray_and_the_luma(hue_rad: float) -> None:
    assert applied((90, 90, 90), hue_rad=hue_rad) == pytest.approx([90] * 3, abs=0.01)
    before, after = (200, 100, 50), applied((200, 100, 50), hue_rad=hue_rad)
    weights = (0.299, 0.587, 0.114)
    assert np.dot(weights, after) == pytest.approx(np.dot(weights, before), abs=0.01)


def test_a_third_of_the_circle_turns_reds_into_other_primaries() -> None:
    hues = []
    for turn in (0, 2 * math.pi / 3, 4 * math.pi / 3):
        red, green, blue = (value / 255 for value in applied((160, 110, 110), hue_rad=turn))
        hues.append(360 * colorsys.rgb_to_hsv(red, green, blue)[0])
    assert hues[0] == 0
    assert {round(hue / 120) * 120 for hue in hues} == {0, 120, 240}


def test_a_gray_image_stays_gray() -> None:
    gray = np.repeat(np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8), 3, axis=2)
    settings = PhotometricSettings(chance_each=1, jpeg_chance=0)
    for seed in range(20):
        changed = photometric(gray, np.random.default_rng(seed), settings=settings).astype(int)
        assert np.ptp(changed, axis=2).max() <= 1


def test_values_are_clipped_and_do_not_wrap_around() -> None:
    image = np.zeros((2, 1, 3), np.uint8)
    image[1] = 255
    settings = PhotometricSettings(chance_each=1, contrast=(3, 3), brightness=0, jpeg_chance=0, blur_chance=0)
    changed = photometric(image, np.random.default_rng(0), settings=settings)
    np.testing.assert_array_equal(changed[:, 0], [[0] * 3, [255] * 3])


def test_each_change_happens_about_as_often_as_asked() -> None:
    image = noise(8)
    settings = PhotometricSettings(chance_each=0, gray_chance=0.3, blur_chance=0, jpeg_chance=0)
    chance = np.random.default_rng(0)
    is_gray = [not np.ptp(photometric(image, chance, settings=settings), axis=2).any() for _ in range(500)]
    assert np.mean(is_gray) == pytest.approx(0.3, abs=0.06)


def test_blur_smooths() -> None:
    settings = PhotometricSettings(chance_each=0, gray_chance=0, blur_chance=1, jpeg_chance=0)
    blurred = photometric(noise(), np.random.default_rng(0), settings=settings)
    assert blurred.std() < 0.9 * noise().std()
    assert blurred.mean() == pytest.approx(noise().mean(), abs=1)


def test_jpeg_keeps_the_colours_in_their_channels() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[...] = (200, 100, 20)
    settings = PhotometricSettings(chance_each=0, gray_chance=0, blur_chance=0, jpeg_chance=1)
    changed = photometric(image, np.random.default_rng(0), settings=settings)
    assert changed.flags.c_contiguous
    np.testing.assert_allclose(changed.mean(axis=(0, 1)), (200, 100, 20), atol=8)
    noisy = photometric(noise(), np.random.default_rng(0), settings=settings)
    assert 1 < np.abs(noisy.astype(int) - noise()).mean() < 70


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (33, 7)])
def test_any_size_will_do(size_hw: tuple[int, int]) -> None:
    always = PhotometricSettings(chance_each=1, gray_chance=1, blur_chance=1, jpeg_chance=1)
    image = np.full((*size_hw, 3), 90, np.uint8)
    assert photometric(image, np.random.default_rng(0), settings=always).shape == image.shape


def test_the_same_seed_gives_the_same_image() -> None:
    images = [photometric(noise(), np.random.default_rng(seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()
