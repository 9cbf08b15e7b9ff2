"""The turn of a head: a round head turned by known angles, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vultus.align import ARCFACE_TEMPLATE
from vultus.errors import ShapeError
from vultus.geometry.similarity_transform import transform_points
from vultus.quality import MAX_TURN, turns

# A head in space: x to the right of the image, y down, z away from the viewer. Millimetres.
HEAD = np.array([(-32, 0, 0), (32, 0, 0), (0, 40, -32), (-25, 75, -5), (25, 75, -5)], dtype=np.float64)


def seen(yaw_deg: float) -> NDArray[np.float64]:
    """(1, 5, 2) the head turned about the vertical axis, seen from far away."""
    yaw = np.deg2rad(yaw_deg)
    x = HEAD[:, 0] * np.cos(yaw) - HEAD[:, 2] * np.sin(yaw)
    return np.stack([x, HEAD[:, 1]], axis=1)[None]


def test_a_frontal_face_is_not_turned() -> None:
    assert turns(ARCFACE_TEMPLATE[None])[0] == pytest.approx(0, abs=0.02)


def test_the_turn_grows_with_the_angle_and_tells_the_side() -> None:
    grown = np.array([turns(seen(yaw))[0] for yaw in range(-75, 76, 15)])
    assert (np.diff(grown) > 0).all()
    np.testing.assert_allclose(grown, -grown[::-1], atol=1e-12)
    assert grown[-1] > 0  # the nose moves to the right of the image


@pytest.mark.parametrize(("yaw_deg", "is_accepted"), [(0, True), (30, True), (45, True), (65, False)])
def test_the_default_limit_lets_half_profiles_pass(yaw_deg: float, is_accepted: bool) -> None:
    assert (abs(turns(seen(yaw_deg))[0]) <= MAX_TURN) == is_accepted


def test_a_nose_below_an_eye_is_a_half() -> None:
    face = ARCFACE_TEMPLATE.copy()
    face[:2, 1] = 50
    face[2] = face[1] + (0, 20)
    assert turns(face[None])[0] == pytest.approx(0.5)


@given(angle=st.floats(0, 6.3), scale=st.floats(0.1, 50), x=st.floats(-1e3, 1e3), yaw_deg=st.floats(-60, 60))
def test_place_size_and_rotation_do_not_matter(angle: float, scale: float, x: float, yaw_deg: float) -> None:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    moved = transform_points(np.array([[[cos, -sin, x], [sin, cos, -x]]]), seen(yaw_deg))
    assert turns(moved)[0] == pytest.approx(turns(seen(yaw_deg))[0], abs=1e-6)


def test_eyes_in_one_place_are_turned_without_end() -> None:
    profile = ARCFACE_TEMPLATE.copy()
    profile[1] = profile[0]
    assert turns(profile[None])[0] == np.inf


def test_landmarks_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(N, 5, 2\)"):
        turns(np.zeros((5, 2)))
