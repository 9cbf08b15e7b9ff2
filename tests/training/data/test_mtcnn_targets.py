"""What MTCNN should answer: decoded by the detector's own functions, it is the labelled face exactly."""

import numpy as np
import pytest

from vultus.detect.mtcnn_stages import (
    FIRST_PIXEL,
    Windows,
    cell_boxes,
    decide,
    merge,
    moved_by_pixels,
    pixel_edges,
    refine,
)
from vultus.geometry.boxes import Floats, squared
from vultus.training.data.mtcnn_targets import (
    UNUSED,
    Cells,
    Seen,
    is_learnt,
    kinds_of,
    landmarks_of,
    offsets_of,
    targets_of,
)
from vultus.training.data.sample import Sample
from vultus.training.losses.mtcnn_multitask import CropKind
from vultus.types import FloatArray

FACE = np.array([[101.5, 80.25, 161.0, 158.75]], np.float32)  # edges
LANDMARKS = np.array([[[120, 110], [145, 111], [132, 125], [122, 140], [143, 141]]], np.float32)
SIZE_HW = (300, 400)


def sample(boxes: Floats = FACE, landmarks: Floats = LANDMARKS, ignored: tuple[bool, ...] = ()) -> Sample:
    is_ignored = np.array(ignored or [False] * len(boxes), np.bool_)
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    return Sample(image, boxes.astype(np.float32), landmarks.astype(np.float32), is_ignored)


def answered(seen: Seen, *, margin: float = 5.0) -> Windows:
    """What a perfect network answers to the windows, which all show the one face."""
    targets = targets_of(seen, sample(), min_face_px=10)
    margins = np.full(len(seen.boxes), margin, np.float32)
    return Windows(seen.boxes, margins, targets.offsets, targets.landmarks)


def cells_near_the_face() -> Cells:
    scales = np.array([12 / 80, 12 / 70, 12 / 90, 0.709**5 * 0.6])
    rows = np.floor(FACE[0, 1] * scales / 2).astype(np.intp)
    columns = np.floor(FACE[0, 0] * scales / 2).astype(np.intp)
    return Cells(scales, rows, columns)


def squares_near_the_face() -> FloatArray:
    offsets = np.random.default_rng(0).uniform(-12, 12, (40, 1)) * np.ones(4)
    return (squared(FACE) + offsets + FIRST_PIXEL).astype(np.float32)


def test_a_perfect_cascade_finds_the_labelled_face_at_every_stage() -> None:
    cells = cells_near_the_face()
    one = cells.at(np.array([0])).seen(SIZE_HW)
    squares = merge([answered(one)])
    np.testing.assert_allclose(squares, squared(FACE + FIRST_PIXEL), atol=1e-4)
    squares = refine(answered(Seen.of_squares(squares)))
    np.testing.assert_allclose(squares, squared(FACE + FIRST_PIXEL), atol=1e-4)
    faces = decide(answered(Seen.of_squares(squares)))
    np.testing.assert_allclose(pixel_edges(faces.boxes), FACE, atol=1e-4)
    np.testing.assert_allclose(faces.landmarks, LANDMARKS, atol=1e-4)


def test_offsets_from_any_cell_of_p_net_decode_to_the_face() -> None:
    seen = cells_near_the_face().seen(SIZE_HW)
    boxes, sides = seen.boxes, seen.boxes[:, 2:] - seen.boxes[:, :2]
    decoded = boxes + offsets_of(seen, FACE.repeat(len(boxes), axis=0)) * np.tile(sides, 2)
    assert len(decoded) == 4
    np.testing.assert_allclose(pixel_edges(decoded), FACE.repeat(4, axis=0), atol=1e-3)


def test_offsets_and_landmarks_from_any_square_decode_to_the_face() -> None:
    windows = answered(Seen.of_squares(squares_near_the_face()))
    assert len(windows.boxes) == 40
    np.testing.assert_allclose(pixel_edges(moved_by_pixels(windows)), FACE.repeat(40, axis=0), atol=1e-3)
    for i in range(40):
        faces = decide(windows.at(np.array([i])))
        np.testing.assert_allclose(faces.landmarks, LANDMARKS, atol=1e-3)


def test_a_cell_names_its_box_as_the_detector_does_and_sees_12_pixels_of_its_level() -> None:
    cells = Cells(np.array([0.5, 0.25]), np.array([3, 1]), np.array([10, 4]))
    seen = cells.seen((240, 320))
    np.testing.assert_array_equal(seen.boxes[0], cell_boxes(np.array([3]), np.array([10]), scale=0.5)[0])
    # the level of 240 x 320 at 0.5 is 121 x 161: a pixel of it is a little under 2 pixels of the image
    across, down = 320 / 161, 240 / 121
    np.testing.assert_allclose(seen.edges[0], [20 * across, 6 * down, 32 * across, 18 * down])


@pytest.mark.parametrize(
    ("overlap", "kind"),
    [
        (0.0, CropKind.NEGATIVE),
        (0.299, CropKind.NEGATIVE),
        (0.3, UNUSED),
        (0.399, UNUSED),
        (0.4, CropKind.PART),
        (0.65, CropKind.PART),
        (0.651, CropKind.POSITIVE),
        (1.0, CropKind.POSITIVE),
    ],
)
def test_kinds_go_by_overlap(overlap: float, kind: int) -> None:
    assert kinds_of(np.array([overlap]), is_learnt=np.array([True])).tolist() == [kind]


@pytest.mark.parametrize("overlap", [0.31, 0.5, 0.9])
def test_what_overlaps_an_ignored_face_teaches_nothing(overlap: float) -> None:
    assert kinds_of(np.array([overlap]), is_learnt=np.array([False])).tolist() == [UNUSED]


def test_a_window_on_an_ignored_face_is_never_a_negative() -> None:
    both = np.concatenate([FACE, FACE + 150])
    squares = (squared(both) + FIRST_PIXEL).astype(np.float32)
    targets = targets_of(
        Seen.of_squares(squares), sample(both, LANDMARKS.repeat(2, axis=0), (False, True)), min_face_px=10
    )
    assert targets.kinds.tolist() == [CropKind.POSITIVE, UNUSED]


def test_a_face_that_is_too_small_is_as_good_as_ignored() -> None:
    assert is_learnt(sample(), 78.0).tolist() == [True]
    assert is_learnt(sample(), 79.0).tolist() == [False]
    seen = Seen.of_squares((squared(FACE) + FIRST_PIXEL).astype(np.float32))
    assert targets_of(seen, sample(), min_face_px=79).kinds.tolist() == [UNUSED]


def test_without_faces_every_window_is_a_negative() -> None:
    empty = sample(np.zeros((0, 4)), np.zeros((0, 5, 2)))
    targets = targets_of(Seen.of_squares(squares_near_the_face()), empty, min_face_px=10)
    assert targets.kinds.tolist() == [CropKind.NEGATIVE] * 40
    assert np.isnan(targets.landmarks).all()


def test_the_best_square_around_a_narrow_face_is_a_positive() -> None:
    narrow = np.array([[100, 80, 140, 160]], np.float32)  # half as wide as high: its overlap is only 0.5
    seen = Seen.of_squares((squared(narrow) + FIRST_PIXEL).astype(np.float32))
    assert targets_of(seen, sample(narrow), min_face_px=10).kinds.tolist() == [CropKind.POSITIVE]


def test_landmarks_are_unknown_where_the_face_has_none() -> None:
    seen = Seen.of_squares((squared(FACE) + FIRST_PIXEL).astype(np.float32))
    unknown = sample(landmarks=np.full((1, 5, 2), np.nan))
    assert np.isnan(targets_of(seen, unknown, min_face_px=10).landmarks).all()


def test_landmarks_are_x1_to_x5_then_y1_to_y5_in_shares_of_the_window() -> None:
    seen = Seen.of_squares(np.array([[11, 21, 110, 120]], np.float32))  # edges 10..110, 20..120
    points = np.array([[[10, 20], [110, 120], [60, 70], [35, 45], [85, 95]]], np.float32)
    np.testing.assert_allclose(
        landmarks_of(seen, points), [[0, 1, 0.5, 0.25, 0.75, 0, 1, 0.5, 0.25, 0.75]], atol=1e-6
    )


@pytest.mark.parametrize(
    "seen", [cells_near_the_face().seen(SIZE_HW), Seen.of_squares(squares_near_the_face())]
)
def test_the_mirror_shift_gives_the_offsets_of_the_mirrored_face(seen: Seen) -> None:
    faces = FACE.repeat(len(seen.boxes), axis=0)
    middles = seen.edges[:, 0] + seen.edges[:, 2]
    mirrored = faces.copy()
    mirrored[:, 0], mirrored[:, 2] = middles - faces[:, 2], middles - faces[:, 0]
    offsets, expected = offsets_of(seen, faces), offsets_of(seen, mirrored)
    shifts = seen.mirror_shifts
    assert len(shifts) > 3
    np.testing.assert_allclose(shifts - offsets[:, 2], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(shifts - offsets[:, 0], expected[:, 2], atol=1e-5)


def test_only_p_nets_cells_need_a_mirror_shift() -> None:
    assert np.abs(Seen.of_squares(squares_near_the_face()).mirror_shifts).max() < 1e-5
    assert np.abs(cells_near_the_face().seen(SIZE_HW).mirror_shifts).min() > 0.02
