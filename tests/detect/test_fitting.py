"""Images into a network's input and back: letterbox, resizing, colours."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.detect.fitting import fit, network_input
from vultus.weights.description import Preprocessing

sides = st.integers(1, 5000)
longest = st.none() | st.integers(1, 2000)


@given(sides, sides, longest, st.sampled_from([1, 32, 64]))
def test_points_go_there_and_back_exactly(
    height: int, width: int, longest_px: int | None, multiple: int
) -> None:
    how = fit((height, width), longest_px, multiple=multiple)
    points = np.array([[0, 0], [width, height], [width / 3, height / 7], [-5, 2 * height]])
    np.testing.assert_allclose(how.to_image(how.to_input(points)), points, atol=1e-6)
    (left, top), (right, bottom) = how.to_input(points[:2])
    assert (top, left) == how.top_left
    assert (bottom - top, right - left) == pytest.approx(how.resized_hw, abs=1e-6)


@given(sides, sides, longest, st.sampled_from([1, 32, 64]))
def test_the_bars_are_halved_and_no_larger_than_needed(
    height: int, width: int, longest_px: int | None, multiple: int
) -> None:
    how = fit((height, width), longest_px, multiple=multiple)
    if longest_px:
        assert max(how.resized_hw) == longest_px
    else:
        assert how.resized_hw == (height, width)
    for side, inner, before in zip(how.input_hw, how.resized_hw, how.top_left, strict=True):
        assert side % multiple == 0
        assert 0 <= side - inner < multiple
        assert 0 <= (side - inner - before) - before <= 1


@given(sides, sides, longest)
def test_a_fixed_input_holds_any_image(height: int, width: int, longest_px: int | None) -> None:
    how = fit((height, width), longest_px, input_hw=(480, 640))
    assert how.input_hw == (480, 640)
    assert how.resized_hw[0] <= 480
    assert how.resized_hw[1] <= 640
    points = np.array([[width, height], [0, 0]])
    np.testing.assert_allclose(how.to_image(how.to_input(points)), points, atol=1e-6)


def test_proportions_are_kept() -> None:
    how = fit((1000, 2000), 640, multiple=32)
    assert how.resized_hw == (320, 640)
    assert how.input_hw == (320, 640)
    how = fit((1200, 900), 640, multiple=32)
    assert (how.resized_hw, how.input_hw, how.top_left) == ((640, 480), (640, 480), (0, 0))
    how = fit((500, 333), 640, multiple=32)
    assert (how.resized_hw, how.input_hw, how.top_left) == ((640, 426), (640, 448), (0, 11))


def test_networks_get_the_colours_that_their_entry_states() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    wanted = Preprocessing(channels="BGR", mean=(10, 20, 30), std=(2, 4, 8))
    batch = network_input([image, image], [fit((5, 7), None)] * 2, preprocessing=wanted)
    bgr = image[..., ::-1].astype(np.float64)
    expected = ((bgr - [10, 20, 30]) / [2, 4, 8]).transpose(2, 0, 1)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, [expected, expected], rtol=1e-6)
    batch = network_input([image], [fit((5, 7), None)], preprocessing=Preprocessing(mean=(10, 20, 30)))
    np.testing.assert_allclose(batch[0], (image - np.array([10.0, 20, 30])).transpose(2, 0, 1), rtol=1e-6)


def test_bars_are_gray_and_the_image_lies_between_them() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    batch = network_input(
        [image], [fit((40, 70), None, multiple=32)], preprocessing=Preprocessing(), pad_value=114
    )
    assert batch.shape == (1, 3, 64, 96)
    inner = batch[0, :, 12:52, 13:83]
    np.testing.assert_array_equal(inner, image.transpose(2, 0, 1))
    frame = batch.copy()
    frame[0, :, 12:52, 13:83] = 114
    assert (frame == 114).all()


def test_images_are_averaged_when_reduced_and_interpolated_when_enlarged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    small = network_input([image], [fit((64, 64), 16)], preprocessing=Preprocessing(interpolation="area"))
    means = image.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(small[0], means, atol=0.51)
    sampled = network_input([image], [fit((64, 64), 16)], preprocessing=Preprocessing())
    assert np.abs(sampled[0] - means).max() > 20
    large = network_input([image], [fit((64, 64), 128)], preprocessing=Preprocessing(interpolation="area"))
    expected = cv2.resize(image, (128, 128), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(large[0], expected.transpose(2, 0, 1))


def test_a_mirrored_view_is_read_as_it_looks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    batch = network_input([image[:, ::-1]], [fit((8, 9), None)], preprocessing=Preprocessing())
    np.testing.assert_array_equal(batch[0], image[:, ::-1].transpose(2, 0, 1))
