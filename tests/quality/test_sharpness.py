"""Sharpness pixel by pixel, beside scikit-image's blur metric, and on real faces made worse."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import blur_effect

from vultus.embed.self_check import reference_face
from vultus.errors import ShapeError
from vultus.quality import MIN_SHARPNESS, sharpnesses
from vultus.types import Crops, Image

Gray = NDArray[np.float64]


def naive_along(gray: Gray, axis: int, length: int, window: tuple[slice, slice]) -> float:
    """The formula with loops; columns are differentiated, so the other axis is transposed."""
    picture = gray if axis == 1 else gray.T
    rows, columns = window if axis == 1 else window[::-1]
    padded = np.pad(picture, 20, mode="symmetric")
    blurred = np.zeros_like(picture)
    height, width = picture.shape
    for y in range(height):
        for x in range(width):
            blurred[y, x] = padded[y + 20, x + 20 - length // 2 : x + 21 + length // 2].mean()
    total = lost = 0.0
    derivative = np.outer([1, 2, 1], [-1, 0, 1])
    plain, soft = np.pad(picture, 1, mode="symmetric"), np.pad(blurred, 1, mode="symmetric")
    for y in range(rows.start, rows.stop):
        for x in range(columns.start, columns.stop):
            before = abs((plain[y : y + 3, x : x + 3] * derivative).sum())
            after = abs((soft[y : y + 3, x : x + 3] * derivative).sum())
            total += before
            lost += max(0.0, before - after)
    return lost / total


def gray_crop(gray: NDArray[np.uint8]) -> Crops:
    return np.repeat(gray[None, :, :, None], 3, axis=3)


@pytest.fixture(scope="module")
def face() -> Image:
    return reference_face()


def blurred(face: Image, sigma_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(face, (0, 0), sigma_px), dtype=np.uint8)


def test_sharpness_follows_the_formula() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (50, 40), dtype=np.uint8)
    gray[:, 20:] //= 3
    window = (slice(9, 44), slice(8, 32))  # 0.18 to 0.89 of 50 rows, 0.20 to 0.80 of 40 columns
    vertical = naive_along(gray.astype(float), 0, 5, window)  # 50 * 9 / 112 is 4.02
    horizontal = naive_along(gray.astype(float), 1, 3, window)
    assert vertical != pytest.approx(horizontal, rel=0.02)
    assert sharpnesses(gray_crop(gray))[0] == pytest.approx(min(vertical, horizontal), rel=1e-5)


def test_on_a_whole_picture_it_is_close_to_one_minus_scikit_images_blur(face: Image) -> None:
    for sigma_px in (0.5, 1, 2, 4):
        soft = blurred(face, sigma_px)
        oracle = 1 - float(blur_effect(cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY).astype(float), h_size=9))  # type: ignore[no-untyped-call]  # it ships no types
        assert sharpnesses(soft[None])[0] == pytest.approx(oracle, abs=0.06)


def test_every_blur_is_less_sharp_than_the_one_before(face: Image) -> None:
    steps = np.stack([face, *(blurred(face, sigma_px) for sigma_px in (0.7, 1, 1.5, 2, 3, 5))])
    assert (np.diff(sharpnesses(steps)) < -0.01).all()


def test_the_default_limit_stands_between_a_good_face_and_a_blurred_one(face: Image) -> None:
    assert sharpnesses(face[None])[0] > MIN_SHARPNESS + 0.1
    assert sharpnesses(blurred(face, 3)[None])[0] < MIN_SHARPNESS - 0.03


@pytest.mark.parametrize("kernel_wh", [(9, 1), (1, 9)], ids=["sideways", "upwards"])
def test_motion_along_one_axis_is_seen(face: Image, kernel_wh: tuple[int, int]) -> None:
    moved = np.asarray(cv2.blur(face, kernel_wh), dtype=np.uint8)
    assert sharpnesses(moved[None])[0] < 0.7 * sharpnesses(face[None])[0]


def test_a_small_face_enlarged_is_not_sharp(face: Image) -> None:
    small = cv2.resize(face, (22, 22), interpolation=cv2.INTER_AREA)
    enlarged = np.asarray(cv2.resize(small, (112, 112)), dtype=np.uint8)
    assert sharpnesses(enlarged[None])[0] < 0.75 * sharpnesses(face[None])[0]


def test_brightness_and_contrast_do_not_matter(face: Image) -> None:
    dark = (face * 0.4 + 20).astype(np.uint8)
    assert sharpnesses(dark[None])[0] == pytest.approx(sharpnesses(face[None])[0], abs=0.02)


def test_the_size_of_the_crop_matters_little(face: Image) -> None:
    soft = blurred(face, 1.5)
    for size_px in (80, 160, 224):
        resized = np.asarray(cv2.resize(soft, (size_px, size_px), interpolation=cv2.INTER_CUBIC), np.uint8)
        assert sharpnesses(resized[None])[0] == pytest.approx(sharpnesses(soft[None])[0], abs=0.04)


def test_a_blank_crop_has_no_sharpness() -> None:
    assert sharpnesses(np.full((2, 112, 112, 3), 77, np.uint8)).tolist() == [0, 0]


def test_crops_are_judged_one_by_one(face: Image) -> None:
    both = np.stack([face, blurred(face, 2)])
    assert sharpnesses(both).tolist() == [sharpnesses(both[:1])[0], sharpnesses(both[1:])[0]]
    assert sharpnesses(both[:0]).shape == (0,)


@pytest.mark.parametrize("wrong", [np.zeros((9, 9, 3), np.uint8), np.zeros((1, 9, 9, 3), np.float32)])
def test_what_are_no_crops_is_refused(wrong: NDArray[np.generic]) -> None:
    with pytest.raises(ShapeError, match=r"\(N, H, W, 3\) uint8"):
        sharpnesses(wrong)  # type: ignore[arg-type]  # the wrong dtype is the test
