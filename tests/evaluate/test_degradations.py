"""Each way of being worse does what it says, in the measure of the face, and leaves the original alone."""

from pathlib import Path

import numpy as np
import pytest

from vultus.align.five_point import ARCFACE_TEMPLATE
from vultus.evaluate import DEGRADATIONS, degraded
from vultus.image import load_image
from vultus.types import Image

FACE = np.array(ARCFACE_TEMPLATE) * 2 + 30  # a face twice as large as the template's, in a 300 px image


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Image:
    return load_image(astronaut)[:300, 60:360].copy()


def difference(before: Image, after: Image) -> float:
    return float(np.abs(before.astype(float) - after.astype(float)).mean())


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_more_is_worse_and_the_picture_keeps_its_size(name: str, photo: Image) -> None:
    before = photo.copy()
    worse = [degraded(photo, FACE, name=name, strength=strength) for strength in DEGRADATIONS[name].strengths]
    assert len(worse) >= 2
    for image in worse:
        assert image.shape == photo.shape
        assert image.dtype == np.uint8
        assert difference(photo, image) > 0.1
    assert np.array_equal(photo, before)
    if name not in {"brightness", "rotation"}:  # the first goes both ways, the second round in a circle
        changes = [difference(photo, image) for image in worse]
        assert changes == sorted(changes)


@pytest.mark.parametrize("name", ["blur", "low-resolution"])
def test_amounts_are_in_the_measure_of_the_face(name: str) -> None:
    """Fine stripes on a large face survive what wipes them from a small one."""
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, (np.arange(300) // 6) % 2 == 0] = 255
    strength = DEGRADATIONS[name].strengths[-1]
    small = degraded(stripes, np.array(ARCFACE_TEMPLATE) / 2 + 100, name=name, strength=strength)
    large = degraded(stripes, np.array(ARCFACE_TEMPLATE) * 4, name=name, strength=strength)
    inner = np.s_[40:260, 40:260]
    if name == "blur":  # four pixels of the crop are two of the small picture, and sixteen of the large one
        assert small[inner].std() > 5 * large[inner].std()
    else:  # sixteen pixels a crop: 3.5 px of the small picture become one, 28 of the large one
        assert small[inner].std() > 5 * large[inner].std()


def test_a_mask_covers_the_lower_face_and_glasses_cover_the_eyes(photo: Image) -> None:
    eyes, nose, mouth = FACE[:2], FACE[2], FACE[3:]
    masked = degraded(photo, FACE, name="mask", strength=0.45)
    shaded = degraded(photo, FACE, name="dark-glasses", strength=0.4)

    def is_covered(image: Image, point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
        x, y = np.round(point).astype(int)
        return bool(image[y, x].tolist() in ([190, 200, 205], [20, 20, 22]))

    assert [is_covered(masked, point) for point in (*mouth, *eyes)] == [True, True, False, False]
    assert [is_covered(shaded, point) for point in (*mouth, *eyes)] == [False, False, True, True]
    assert is_covered(degraded(photo, FACE, name="mask", strength=0.6), nose)


def test_what_is_covered_turns_with_the_face(photo: Image) -> None:
    turned = np.stack([299 - FACE[:, 1], FACE[:, 0]], axis=1)  # a quarter clockwise
    image = degraded(np.rot90(photo, -1).copy(), turned, name="dark-glasses", strength=0.4)
    expected = np.rot90(degraded(photo, FACE, name="dark-glasses", strength=0.4), -1)
    assert difference(image, expected) < 0.5


def test_brightness_is_a_factor_and_clips() -> None:
    gray = np.full((4, 4, 3), 100, np.uint8)
    assert (degraded(gray, FACE, name="brightness", strength=0.5) == 50).all()
    assert (degraded(gray, FACE, name="brightness", strength=3) == 255).all()


def test_rotation_turns_about_the_face_counter_clockwise() -> None:
    """The left eye, 35 px to the left of the right one, stands below it after a quarter turn."""
    image = np.zeros((300, 300, 3), np.uint8)
    x, y = np.round(FACE[0]).astype(int)
    image[y - 3 : y + 4, x - 3 : x + 4] = 255
    turned = degraded(image, FACE, name="rotation", strength=90)
    rows, columns = np.nonzero(turned[..., 0] > 128)
    centre = FACE.mean(axis=0)
    expected = centre + np.array([FACE[0, 1] - centre[1], -(FACE[0, 0] - centre[0])])
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=1.5)


def test_where_no_face_is_known_nothing_is_done(photo: Image) -> None:
    nowhere = np.full((5, 2), np.nan)
    for name, how in DEGRADATIONS.items():
        assert degraded(photo, nowhere, name=name, strength=how.strengths[-1]) is photo
