import numpy as np
import pytest

from vultus.errors import InputError
from vultus.training.data.mosaic import POINT_RANGE, mosaic
from vultus.training.data.sample import Sample

SIZE_PX = 80


def plain(value: int, *boxes: tuple[float, ...], size_hw: tuple[int, int] = (60, 90)) -> Sample:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    landmarks = np.repeat(((array[:, :2] + array[:, 2:]) / 2)[:, None], 5, axis=1).astype(np.float32)
    return Sample(np.full((*size_hw, 3), value, np.uint8), array, landmarks, np.zeros(len(array), np.bool_))


def four(*boxes: tuple[float, ...]) -> list[Sample]:
    return [plain(value, *boxes) for value in (10, 70, 180, 250)]


def test_the_four_images_meet_at_a_point_in_the_middle_half() -> None:
    seen = set()
    for seed in range(50):
        image = mosaic(four(), np.random.default_rng(seed), size_px=SIZE_PX, scales=(3, 3)).image[..., 0]
        width, height = int((image[0] == 10).sum()), int((image[:, 0] == 10).sum())
        for side in (width, height):
            assert POINT_RANGE[0] * SIZE_PX <= side <= POINT_RANGE[1] * SIZE_PX
        assert (image[:height, :width] == 10).all()
        assert (image[:height, width:] == 70).all()
        assert (image[height:, :width] == 180).all()
        assert (image[height:, width:] == 250).all()
        seen.add((width, height))
    assert len(seen) > 30


def test_the_scale_is_a_multiple_of_that_at_which_the_image_fits() -> None:
    # 90 px of width at 80 px is 0.889: a face of 18 x 9 becomes 8 x 4 at half of that.
    face = (36, 27, 54, 36)
    result = mosaic(
        four(face), np.random.default_rng(0), size_px=SIZE_PX, scales=(0.5, 0.5), min_visible=0.99
    )
    sizes = (result.boxes[:, 2:] - result.boxes[:, :2])[~result.is_ignored]
    assert len(sizes) >= 2
    np.testing.assert_allclose(sizes, [[8, 4]] * len(sizes), rtol=0.1)


def test_faces_come_in_the_order_of_the_samples_and_lie_in_their_quarters() -> None:
    samples = four((30, 20, 60, 40))
    for seed in range(30):
        result = mosaic(samples, np.random.default_rng(seed), size_px=SIZE_PX, scales=(0.5, 0.7))
        values = []
        for x, y in (result.boxes[:, :2] + result.boxes[:, 2:]) / 2:
            values.append(result.image[int(y), int(x), 0])
        assert values == sorted(values)
        assert values


def test_a_face_that_is_seen_too_little_is_ignored() -> None:
    whole = (0, 0, 90, 60)
    result = mosaic(
        four(whole), np.random.default_rng(1), size_px=SIZE_PX, scales=(1.4, 1.5), min_visible=0.9
    )
    assert len(result.boxes) == 4
    assert result.is_ignored.all()
    result = mosaic(
        four(whole), np.random.default_rng(1), size_px=SIZE_PX, scales=(0.2, 0.25), min_visible=0.9
    )
    assert not result.is_ignored.any()


def test_half_a_face_is_one_or_none_as_is_asked() -> None:
    whole = (0, 0, 90, 60)  # at the size that fits, each quarter cuts some of it off
    kept, strict = (
        [
            mosaic(
                four(whole),
                np.random.default_rng(seed),
                size_px=SIZE_PX,
                scales=(1.0, 1.0),
                min_visible=limit,
            )
            for seed in range(20)
        ]
        for limit in (0.0, 0.6)
    )
    for one, other in zip(kept, strict, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        areas = (one.boxes[:, 2:] - one.boxes[:, :2]).prod(axis=1) / (80 * 80 * 60 / 90)
        is_clear = np.abs(areas - 0.6) > 0.03  # of rounding to whole pixels
        np.testing.assert_array_equal(other.is_ignored[is_clear], (one.is_ignored | (areas < 0.6))[is_clear])
    assert (
        sum((one.is_ignored != other.is_ignored).sum() for one, other in zip(kept, strict, strict=True)) > 5
    )


def test_a_face_that_gets_too_small_is_ignored() -> None:
    face = (36, 27, 54, 36)
    result = mosaic(four(face), np.random.default_rng(0), size_px=SIZE_PX, scales=(0.5, 0.5), min_face_px=5)
    assert len(result.boxes) >= 2
    assert result.is_ignored.all()


def test_landmarks_that_are_cut_off_are_unknown() -> None:
    samples = four((0, 0, 90, 60))
    unknown = 0
    for seed in range(20):
        result = mosaic(samples, np.random.default_rng(seed), size_px=SIZE_PX, scales=(2, 2))
        for box, landmarks in zip(result.boxes, result.landmarks, strict=True):
            is_inside = (landmarks >= box[:2]).all() and (landmarks <= box[2:]).all()
            assert is_inside or np.isnan(landmarks).all()
            unknown += bool(np.isnan(landmarks).all())
    assert unknown > 0


def test_images_of_all_proportions_and_without_faces_mix() -> None:
    samples = [
        plain(10, size_hw=(1, 1)),
        plain(20, size_hw=(500, 3)),
        plain(30, (0, 0, 5, 5)),
        plain(40, size_hw=(3, 500)),
    ]
    for seed in range(20):
        result = mosaic(samples, np.random.default_rng(seed), size_px=SIZE_PX)
        assert result.size_hw == (SIZE_PX, SIZE_PX)
        assert len(result.boxes) <= 1


def test_four_samples_are_needed() -> None:
    with pytest.raises(InputError, match="4 samples and 4 px or more, got 3"):
        mosaic(four()[:3], np.random.default_rng(0), size_px=SIZE_PX)
    with pytest.raises(InputError, match="scales must be"):
        mosaic(four(), np.random.default_rng(0), size_px=SIZE_PX, scales=(0, 1))
