"""The template by its digits, the crop by naive interpolation, and what is refused, on real landmarks."""

import csv
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage

from vultus.align.five_point import (
    ARCFACE_TEMPLATE,
    MAX_RESIDUAL_PX,
    alignable,
    crop_faces,
    residuals,
    template,
)
from vultus.errors import InputError, ShapeError
from vultus.geometry.similarity_transform import fit_similarity, transform_points
from vultus.types import Image

Points = NDArray[np.float64]
SWAPPED_EYES = [1, 0, 2, 3, 4]
OWN_LEFT_AND_RIGHT = [1, 0, 2, 4, 3]  # as the person would say it
# As MTCNN finds them in scikit-image's portrait of Eileen Collins.
ASTRONAUT = np.array(
    [[(205, 101.7), (246.8, 103.7), (224.7, 129), (201.7, 139.2), (245.3, 141.9)]], np.float32
)


@pytest.fixture(scope="module")
def portrait() -> Image:
    with PillowImage.open(str(files("skimage") / "data" / "astronaut.png")) as file:
        return np.array(file)


@pytest.fixture(scope="module")
def real_landmarks(shared: Path) -> Points:
    """(N, 5, 2) every tenth of the detected faces, profiles among them."""
    names = [f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
             for axis in "xy"]  # fmt: skip
    with (shared / "data" / "faces" / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [[row[name] for name in names] for row in csv.DictReader(file)]
    known = np.array([row for row in rows[::10] if all(row)], dtype=np.float64).reshape(-1, 5, 2)
    assert len(known) > 5000
    return known


def test_the_template_is_the_published_one() -> None:
    expected = [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655)]
    np.testing.assert_array_equal(template(), [*expected, (70.7299, 92.2041)])


@pytest.mark.parametrize("size_px", [56, 112, 160, 224])
def test_other_sizes_scale_the_template(size_px: int) -> None:
    np.testing.assert_allclose(template(size_px), ARCFACE_TEMPLATE * size_px / 112)


def test_a_margin_surrounds_the_template() -> None:
    np.testing.assert_allclose(template(128, margin_px=8), ARCFACE_TEMPLATE + 8)


@pytest.mark.parametrize(("size_px", "margin_px"), [(0, 0), (16, 8), (112, -1)])
def test_a_margin_that_leaves_nothing_is_refused(size_px: int, margin_px: int) -> None:
    with pytest.raises(InputError, match="no room for margins"):
        template(size_px, margin_px=margin_px)


def test_the_template_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ARCFACE_TEMPLATE[0] = 0


def test_a_crop_is_the_bilinear_sample_of_the_image(portrait: Image) -> None:
    """Each crop pixel, at its whole-number coordinate, goes back into the image and is interpolated."""
    crop = crop_faces(portrait, ASTRONAUT)[0]
    matrix = np.vstack([fit_similarity(ASTRONAUT, ARCFACE_TEMPLATE).matrices[0], [0, 0, 1]])
    back = np.linalg.inv(matrix)
    for x, y in [(0, 0), (111, 0), (38, 52), (56, 72), (90, 101)]:
        u, v, _ = back @ (x, y, 1)
        left, top = int(u), int(v)
        patch = portrait[top : top + 2, left : left + 2].astype(float)
        weights_x, weights_y = np.array([1 - (u - left), u - left]), np.array([1 - (v - top), v - top])
        expected = np.einsum("y,x,yxc->c", weights_y, weights_x, patch)
        assert np.abs(crop[y, x] - expected).max() <= 2  # OpenCV 4 interpolates in steps of 1/32 px


def test_landmarks_land_on_the_template(portrait: Image) -> None:
    """White dots drawn at the landmarks of a face turned by 40 degrees are found at the template's points."""
    turn = np.asarray(cv2.getRotationMatrix2D((150.0, 150.0), 40, 1.7), np.float64)
    face = transform_points(turn[None], ARCFACE_TEMPLATE[None] + 60)
    image = np.zeros((400, 400, 3), np.uint8)
    for x, y in face[0]:
        cv2.circle(image, (round(x * 16), round(y * 16)), 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    crop = crop_faces(image, face)[0, :, :, 0]
    count, _, _, centres = cv2.connectedComponentsWithStats((crop > 127).astype(np.uint8))
    assert count == 6  # the background, and five dots
    distances = np.linalg.norm(centres[1:, None] - ARCFACE_TEMPLATE[None], axis=-1)
    assert distances.min(axis=1).max() < 0.3


def test_every_size_shows_the_same_face(portrait: Image) -> None:
    small, large = crop_faces(portrait, ASTRONAUT)[0], crop_faces(portrait, ASTRONAUT, size_px=224)[0]
    assert large.shape == (224, 224, 3)
    shift = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    halved = cv2.warpAffine(large, shift, (112, 112))
    assert np.abs(halved.astype(int) - small).mean() < 4


def test_the_middle_of_a_crop_with_a_margin_is_the_crop_without(portrait: Image) -> None:
    wide = crop_faces(portrait, ASTRONAUT, size_px=128, margin_px=8)[0]
    difference = wide[8:120, 8:120].astype(int) - crop_faces(portrait, ASTRONAUT)[0]
    assert np.abs(difference).max() <= 1  # the same samples, rounded elsewhere


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_face_comes_out_upright(portrait: Image, quarter_turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(portrait, quarter_turns))
    points = ASTRONAUT.astype(np.float64)
    for _ in range(quarter_turns):  # counter-clockwise: x' = y, y' = 511 - x
        points = np.stack([points[..., 1], 511 - points[..., 0]], axis=-1)
    difference = crop_faces(turned, points).astype(int) - crop_faces(portrait, ASTRONAUT)
    assert np.abs(difference).max() <= 2


def test_beyond_the_border_it_is_black(portrait: Image) -> None:
    corner = ASTRONAUT - ASTRONAUT.mean(axis=1)  # the face around the image's first pixel
    crop = crop_faces(np.full_like(portrait, 200), corner)[0]
    assert (crop[:40, :40] == 0).all()
    assert (crop[90:, 90:] == 200).all()


def test_crops_come_in_the_order_of_the_landmarks(portrait: Image) -> None:
    both = np.concatenate([ASTRONAUT + 40, ASTRONAUT])
    np.testing.assert_array_equal(crop_faces(portrait, both)[1], crop_faces(portrait, ASTRONAUT)[0])


def test_no_faces_are_no_crops(portrait: Image) -> None:
    nobody = np.zeros((0, 5, 2), np.float32)
    assert crop_faces(portrait, nobody).shape == (0, 112, 112, 3)
    assert alignable(nobody).shape == (0,)


def test_the_residual_is_in_pixels_of_the_template() -> None:
    saddle = np.array([(1, 1), (-1, -1), (0, 0), (-1, -1), (1, 1)]) * [1, 0]  # follows no similarity
    centred = ARCFACE_TEMPLATE - ARCFACE_TEMPLATE.mean(axis=0)
    distorted = (ARCFACE_TEMPLATE + saddle - saddle.mean(axis=0)) * 3 + 100
    (residual,) = residuals(distorted[None])
    (plain,) = residuals((centred * 7)[None])
    assert plain < 1e-9
    assert residual == pytest.approx(np.sqrt(4 / 5), rel=0.05)


def test_the_residual_grows_with_the_crop() -> None:
    assert residuals(ASTRONAUT, size_px=224)[0] == pytest.approx(2 * residuals(ASTRONAUT)[0])


def test_faces_as_detectors_find_them_are_alignable(real_landmarks: Points) -> None:
    assert alignable(real_landmarks).all()
    assert np.percentile(residuals(real_landmarks), 99) < 8
    assert residuals(real_landmarks).max() > 12  # profiles are among them


def test_full_profiles_are_alignable() -> None:
    profile = ARCFACE_TEMPLATE.copy()
    profile[[0, 1, 3, 4], 0] = 60, 61, 60, 61  # one eye and one mouth corner hide the others
    profile[2, 0] = 78
    assert 13 < residuals(profile[None])[0] < MAX_RESIDUAL_PX
    assert alignable(profile[None]).all()


@pytest.mark.parametrize("order", [SWAPPED_EYES, OWN_LEFT_AND_RIGHT], ids=["eyes", "all"])
def test_swapped_left_and_right_is_found(real_landmarks: Points, order: list[int]) -> None:
    rejected = ~alignable(real_landmarks[:, order])
    looks_ahead = residuals(real_landmarks) < 9
    assert looks_ahead.mean() > 0.99
    assert rejected[looks_ahead].all()
    assert rejected.mean() > 0.999  # a swapped profile is hard to tell from a profile


def test_a_mirrored_face_has_its_landmarks_renamed(real_landmarks: Points) -> None:
    mirrored = real_landmarks * [-1, 1] + [128, 0]
    assert not alignable(mirrored)[residuals(real_landmarks) < 9].any()
    assert alignable(mirrored[:, OWN_LEFT_AND_RIGHT]).all()


@settings(max_examples=50)
@given(angle=st.floats(0, 360), scale=st.floats(0.1, 50), x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4))
def test_place_size_and_angle_do_not_matter(angle: float, scale: float, x: float, y: float) -> None:
    turn = np.asarray(cv2.getRotationMatrix2D((0.0, 0.0), angle, scale), np.float64)
    moved = transform_points(turn[None], ASTRONAUT.astype(np.float64)) + np.array([x, y])
    assert alignable(moved).all()
    assert residuals(moved)[0] == pytest.approx(residuals(ASTRONAUT)[0], abs=1e-6)
    assert not alignable(moved[:, SWAPPED_EYES]).any()


def broken(kind: str) -> Points:
    face = ASTRONAUT.astype(np.float64)
    match kind:
        case "nan":
            face[0, 3, 1] = np.nan
        case "infinite":
            face[0, 0, 0] = np.inf
        case "one place":
            face[:] = 77.7
        case "nearly one place":
            face = 100 + (face - face.mean(axis=1)) / 40
        case "swapped":
            face = face[:, SWAPPED_EYES]
    return face


REASONS = {
    "nan": "not a finite number",
    "infinite": "not a finite number",
    "one place": "lie in one place",
    "nearly one place": "lie in one place",
    "swapped": r"px from the template, more than 16\.5; are left and right as seen in the image",
}


@pytest.mark.parametrize(("kind", "reason"), REASONS.items(), ids=REASONS)
def test_what_cannot_be_aligned_is_refused_with_its_number(portrait: Image, kind: str, reason: str) -> None:
    faces = np.concatenate([ASTRONAUT.astype(np.float64), broken(kind)])
    assert alignable(faces).tolist() == [True, False]
    with pytest.raises(InputError, match=f"face 1 of 2 cannot be aligned: .*{reason}"):
        crop_faces(portrait, faces)


@pytest.mark.parametrize("shape", [(5, 2), (1, 10), (1, 2, 5), (2, 5, 3)])
def test_landmarks_of_another_shape_are_refused(portrait: Image, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"landmarks must have shape \(N, 5, 2\)"):
        crop_faces(portrait, np.zeros(shape))


def test_an_image_of_another_kind_is_refused(portrait: Image) -> None:
    with pytest.raises(ShapeError, match="uint8"):
        crop_faces(portrait.astype(np.float32), ASTRONAUT)
