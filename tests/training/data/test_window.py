"""What is seen through a window: pixels, and which faces remain faces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.training.data.sample import Sample
from vultus.training.data.window import PAD_VALUE, Window, view
from vultus.types import FloatArray


def sample_of(*boxes: tuple[float, ...], size_hw: tuple[int, int] = (100, 200)) -> Sample:
    """Noise with these boxes; the landmarks are the corners of the box, and its centre in the middle."""
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    centres = (array[:, :2] + array[:, 2:]) / 2
    points = np.stack([array[:, :2], array[:, [2, 1]], centres, array[:, [0, 3]], array[:, 2:]], axis=1)
    return Sample(image, array, points.astype(np.float32), np.zeros(len(array), np.bool_))


def test_a_window_of_the_whole_image_at_its_size_is_the_sample() -> None:
    sample = sample_of((10, 20, 30, 50), (0, 0, 1, 1))
    seen = view(sample, Window(0, 0, 200, 100), size_hw=(100, 200))
    np.testing.assert_array_equal(seen.image, sample.image)
    np.testing.assert_array_equal(seen.boxes, sample.boxes)
    np.testing.assert_array_equal(seen.landmarks, sample.landmarks)
    assert not seen.is_ignored.any()


def test_what_is_seen_is_another_array_than_the_image() -> None:
    sample = sample_of((10, 20, 30, 50))
    before = [array.copy() for array in sample]
    for array in view(sample, Window(0, 0, 200, 100), size_hw=(100, 200)):
        array.fill(0)
    for after, original in zip(sample, before, strict=True):
        np.testing.assert_array_equal(after, original)


def test_a_crop_at_its_size_is_a_slice() -> None:
    sample = sample_of((70, 40, 90, 60))
    seen = view(sample, Window(50, 30, 60, 40), size_hw=(40, 60))
    np.testing.assert_array_equal(seen.image, sample.image[30:70, 50:110])
    np.testing.assert_array_equal(seen.boxes, [[20, 10, 40, 30]])


def test_beyond_the_image_lies_the_padding() -> None:
    sample = sample_of((0, 0, 20, 20), size_hw=(20, 20))
    seen = view(sample, Window(-5, -10, 40, 40), size_hw=(40, 40), pad_value=7)
    expected = np.full((40, 40, 3), 7, np.uint8)
    expected[10:30, 5:25] = sample.image
    np.testing.assert_array_equal(seen.image, expected)
    np.testing.assert_array_equal(seen.boxes, [[5, 10, 25, 30]])


def test_padding_is_gray_by_default() -> None:
    seen = view(sample_of(size_hw=(2, 2)), Window(0, 0, 4, 4), size_hw=(4, 4))
    assert (seen.image[2:] == PAD_VALUE).all()


def test_shrinking_averages_over_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    sample = sample_of(size_hw=(64, 64))._replace(image=image)
    seen = view(sample, Window(0, 0, 64, 64), size_hw=(16, 16))
    means = image.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(seen.image, means, atol=0.51)


def test_growing_interpolates_linearly() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 1] = 200
    seen = view(sample_of(size_hw=(1, 2))._replace(image=image), Window(0, 0, 2, 1), size_hw=(2, 4))
    np.testing.assert_array_equal(seen.image[0, :, 0], [0, 50, 150, 200])


def test_rounding_to_whole_pixels_moves_boxes_exactly_as_the_pixels() -> None:
    # 10 px of image in a window of 30 px shown at 8 px: 2.67 px, placed from 2.67 (3) to 5.33 (5).
    seen = view(sample_of((0, 0, 10, 10), size_hw=(10, 10)), Window(-10, -10, 30, 30), size_hw=(8, 8))
    is_image = (seen.image != PAD_VALUE).any(axis=2)
    np.testing.assert_array_equal(np.flatnonzero(is_image.any(axis=0)), [3, 4])
    np.testing.assert_allclose(seen.boxes, [[3, 3, 5, 5]])


@pytest.mark.parametrize(
    ("box", "expected", "is_ignored"),
    [
        ((60, 40, 80, 60), [10, 10, 30, 30], False),  # all of it seen
        ((45, 40, 65, 60), [0, 10, 15, 30], False),  # the centre seen
        ((40, 40, 60, 60), [0, 10, 10, 30], False),  # the centre just so
        ((39, 40, 59, 60), [0, 10, 9, 30], True),  # the centre just not
        ((100, 40, 120, 60), [50, 10, 60, 30], True),  # the centre on the far edge: the next pixel's
        ((31, 40, 51, 60), [0, 10, 1, 30], True),  # a pixel seen
    ],
)
def test_a_face_cut_by_the_window_is_a_face_if_its_centre_is_seen(
    box: tuple[float, ...], expected: list[float], is_ignored: bool
) -> None:
    seen = view(sample_of(box), Window(50, 30, 60, 40), size_hw=(40, 60))
    np.testing.assert_array_equal(seen.boxes, [expected])
    assert seen.is_ignored.tolist() == [is_ignored]


@pytest.mark.parametrize("box", [(30, 40, 50.9, 60), (0, 0, 20, 20), (110, 40, 120, 60), (150, 40, 160, 60)])
def test_a_face_of_which_less_than_a_pixel_is_seen_is_gone(box: tuple[float, ...]) -> None:
    seen = view(sample_of(box), Window(50, 30, 60, 40), size_hw=(40, 60))
    assert seen.boxes.shape == (0, 4)
    assert seen.landmarks.shape == (0, 5, 2)
    assert seen.is_ignored.shape == (0,)


def test_an_ignored_box_stays_ignored_wherever_some_of_it_is_seen() -> None:
    sample = sample_of((0, 0, 200, 100), (60, 40, 80, 60))._replace(is_ignored=np.array([True, False]))
    seen = view(sample, Window(120, 50, 30, 30), size_hw=(30, 30))  # far from the centre of the large box
    np.testing.assert_array_equal(seen.boxes, [[0, 0, 30, 30]])
    assert seen.is_ignored.tolist() == [True]


def test_a_face_that_gets_too_small_is_ignored_and_not_gone() -> None:
    sample = sample_of((0, 0, 16, 20), (20, 0, 36, 15.9))
    seen = view(sample, Window(0, 0, 100, 100), size_hw=(50, 50), min_face_px=8)
    np.testing.assert_allclose(seen.boxes, np.array([[0, 0, 8, 10], [10, 0, 18, 7.95]]), rtol=1e-6)
    assert seen.is_ignored.tolist() == [False, True]


def test_too_small_is_judged_by_what_is_seen() -> None:
    seen = view(sample_of((40, 40, 62, 60)), Window(50, 30, 60, 40), size_hw=(40, 60), min_face_px=13)
    np.testing.assert_array_equal(seen.boxes, [[0, 10, 12, 30]])
    assert seen.is_ignored.all()


def test_a_face_of_which_too_little_is_seen_is_ignored() -> None:
    sample = sample_of((44, 40, 64, 60), (45, 24, 65, 44))  # 70 % seen; 75 % x 70 %, in the corner
    seen = view(sample, Window(50, 30, 60, 40), size_hw=(40, 60), min_visible=0.6)
    assert seen.is_ignored.tolist() == [False, True]


def test_a_landmark_that_is_not_seen_is_unknown() -> None:
    seen = view(sample_of((45, 40, 65, 60)), Window(50, 30, 60, 40), size_hw=(40, 60))
    np.testing.assert_array_equal(
        seen.landmarks, [[[np.nan, np.nan], [15, 10], [5, 20], [np.nan, np.nan], [15, 30]]]
    )


def test_unknown_landmarks_stay_unknown() -> None:
    sample = sample_of((60, 40, 80, 60))
    sample.landmarks[0, 1:] = np.nan
    seen = view(sample, Window(50, 30, 60, 40), size_hw=(40, 60))
    np.testing.assert_array_equal(np.isnan(seen.landmarks[0, :, 0]), [False, True, True, True, True])


@pytest.mark.parametrize(
    ("window", "size_hw"),
    [
        (Window(200, 0, 10, 10), (8, 8)),
        (Window(0, -10, 10, 10), (8, 8)),
        (Window(0, 0, 0, 10), (8, 8)),
        (Window(0, 0, 10, 10), (0, 8)),
    ],
)
def test_a_window_must_show_some_of_the_image(window: Window, size_hw: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="a window must show some of the image"):
        view(sample_of((0, 0, 10, 10)), window, size_hw=size_hw)


def boxes_in(count: int, *, seed: int) -> FloatArray:
    chance = np.random.default_rng(seed)
    corners = chance.uniform([-20, -20], [200, 100], (count, 2))
    return np.concatenate([corners, corners + chance.uniform(0.5, 120, (count, 2))], axis=1).astype(
        np.float32
    )


@given(
    left=st.integers(-300, 199),
    top=st.integers(-300, 99),
    side=st.integers(1, 900),
    size_px=st.integers(1, 90),
    seed=st.integers(0, 1000),
)
def test_boxes_lie_within_whatever_is_seen(left: int, top: int, side: int, size_px: int, seed: int) -> None:
    side = max(side, 1 - left, 1 - top)
    sample = sample_of(*boxes_in(12, seed=seed).tolist())
    seen = view(sample, Window(left, top, side, side), size_hw=(size_px, size_px), min_face_px=2)
    assert seen.image.shape == (size_px, size_px, 3)
    assert (seen.boxes >= 0).all()
    assert (seen.boxes <= size_px).all()
    assert (seen.boxes[:, 2:] > seen.boxes[:, :2]).all()
    known = seen.landmarks[~np.isnan(seen.landmarks)]
    assert ((known >= 0) & (known < size_px)).all()
    assert len(seen.boxes) == len(seen.landmarks) == len(seen.is_ignored) <= 12
    assert [array.dtype for array in seen] == [np.uint8, np.float32, np.float32, np.bool_]
