"""RetinaFace's anchors: every rule by hand, all of them against plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.geometry.anchors import decode_boxes, decode_landmarks, square_anchors
from vultus.training.data.augment import letterbox
from vultus.training.data.sample import Sample, load_sample
from vultus.training.data.targets import MatchedAnchors, match_anchors, stack_anchor_targets
from vultus.training.data.widerface import read_widerface
from vultus.training.losses.multibox import MultiBoxLoss
from vultus.types import FloatArray

FACE, BACKGROUND, IGNORED = 1, 0, -1
LIMITS = {"positive_iou": 0.35, "negative_iou": 0.35, "forced_iou": 0.2}


def faces(*boxes: tuple[float, ...], ignored: tuple[int, ...] = ()) -> Sample:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    landmarks = np.full((len(array), 5, 2), np.nan, np.float32)
    is_ignored = np.isin(np.arange(len(array)), ignored)
    return Sample(np.zeros((64, 64, 3), np.uint8), array, landmarks, is_ignored)


def at(*squares: tuple[float, float, float]) -> FloatArray:
    """Square anchors of left, top, side."""
    left, top, side = np.array(squares, np.float32).T
    return np.stack([left + side / 2, top + side / 2, side, side], axis=1)


def classes(
    sample: Sample, anchors: FloatArray, *, positive_iou: float = 0.35, negative_iou: float = 0.35
) -> list[int]:
    matched = match_anchors(sample, anchors, positive_iou=positive_iou, negative_iou=negative_iou)
    return list(matched.classes.tolist())


def test_an_anchor_with_enough_overlap_is_a_face_and_any_other_background() -> None:
    # 10 x 10 squares shifted by s overlap by (10 - s) / (10 + s): 1, 0.43, 0.33, 0.
    anchors = at((0, 0, 10), (4, 0, 10), (5, 0, 10), (20, 20, 10))
    assert classes(faces((0, 0, 10, 10)), anchors) == [FACE, FACE, BACKGROUND, BACKGROUND]


def test_the_limit_itself_is_enough() -> None:
    assert classes(
        faces((0, 0, 10, 10)), at((0, 0, 10), (0, 0, 20)), positive_iou=0.25, negative_iou=0.25
    ) == [FACE, FACE]


def test_between_the_limits_it_is_neither() -> None:
    anchors = at((0, 0, 10), (4, 0, 10), (5, 0, 10), (6, 0, 10))  # 1, 0.43, 0.33, 0.25
    found = classes(faces((0, 0, 10, 10)), anchors, positive_iou=0.5, negative_iou=0.3)
    assert found == [FACE, IGNORED, IGNORED, BACKGROUND]


def test_the_best_anchor_of_a_face_is_forced_if_it_overlaps_by_a_fifth() -> None:
    anchors = at((0, 0, 20), (40, 40, 10))
    assert classes(faces((0, 0, 9, 9)), anchors) == [FACE, BACKGROUND]  # 81 / 400 = 0.2025
    assert classes(faces((0, 0, 8.9, 8.9)), anchors) == [BACKGROUND, BACKGROUND]  # 0.198


def test_a_forced_anchor_belongs_to_the_face_that_forced_it() -> None:
    # The second anchor overlaps the large face by 0.43, the small one by 0.25, whose best it is.
    small, large = (5, 0, 10, 5), (0, 0, 10, 10)
    anchors = at((0, 0, 10), (4, 0, 10))
    matched = match_anchors(faces(large, small), anchors)
    assert matched.classes.tolist() == [FACE, FACE]
    boxes = decode_boxes(matched.box_deltas, anchors)
    assert np.array_equal(boxes.round(3)[0], large)
    overlap_of_small = (25 / 100, 5 * 5 / 100)  # with each anchor: the first is as good, and comes first
    assert overlap_of_small == (0.25, 0.25)


def test_of_several_faces_that_force_an_anchor_the_nearest_wins_whatever_their_order() -> None:
    near, far = (0, 0, 14, 14), (0, 0, 12, 12)  # 0.49 and 0.36 of the only anchor
    anchors = at((0, 0, 20))
    for order in ((near, far), (far, near)):
        matched = match_anchors(faces(*order), anchors)
        np.testing.assert_allclose(decode_boxes(matched.box_deltas, anchors), [near], atol=1e-4)


def test_a_forced_anchor_is_taken_even_from_a_face_that_overlaps_it_more() -> None:
    # The right anchor lies 0.6 in the large face, which has a better one; it is the small one's best.
    large, small = (0, 0, 20, 20), (16, 0, 26, 10)
    anchors = at((0, 0, 20), (5, 0, 20))
    matched = match_anchors(faces(large, small), anchors)
    np.testing.assert_allclose(decode_boxes(matched.box_deltas, anchors), [large, small], atol=1e-4)


def test_background_in_an_ignored_box_is_neither() -> None:
    # Half of the second anchor lies in the ignored box, a little less of the third.
    anchors = at((40, 40, 8), (56, 40, 8), (56.1, 40, 8), (0, 0, 8))
    found = classes(faces((20, 20, 60, 60), ignored=(0,)), anchors)
    assert found == [IGNORED, IGNORED, BACKGROUND, BACKGROUND]


def test_an_anchor_that_covers_an_ignored_face_is_neither() -> None:
    # It lies less than half in it, but it could have been forced by it: 81 / 400. The other one not.
    anchors = at((0, 0, 20), (0, 0, 21))
    assert classes(faces((0, 0, 9, 9), ignored=(0,)), anchors) == [IGNORED, BACKGROUND]


def test_an_ignored_face_is_never_matched_but_hides_no_other_face() -> None:
    same = (0, 0, 10, 10)
    assert classes(faces(same, ignored=(0,)), at((0, 0, 10))) == [IGNORED]
    matched = match_anchors(faces(same, (0, 0, 9, 9), ignored=(0,)), at((0, 0, 10)))
    assert matched.classes.tolist() == [FACE]
    np.testing.assert_allclose(decode_boxes(matched.box_deltas, at((0, 0, 10))), [(0, 0, 9, 9)], atol=1e-4)


def test_landmarks_are_encoded_where_all_five_are_known() -> None:
    sample = faces((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))
    sample.landmarks[:] = np.random.default_rng(0).uniform(0, 50, (3, 5, 2))
    sample.landmarks[1, 3, 0] = np.nan
    sample.landmarks[2] = np.nan
    anchors = at((0, 0, 10), (20, 0, 10), (40, 0, 10), (60, 0, 10))
    matched = match_anchors(sample, anchors)
    assert matched.classes.tolist() == [FACE, FACE, FACE, BACKGROUND]
    assert matched.has_landmarks.tolist() == [True, False, False, False]
    decoded = decode_landmarks(matched.landmark_deltas, anchors)
    np.testing.assert_allclose(decoded[0], sample.landmarks[0], atol=1e-4)
    assert not matched.landmark_deltas[1:].any()


def test_landmarks_of_an_ignored_face_are_not_used() -> None:
    sample = faces((0, 0, 10, 10), ignored=(0,))
    sample.landmarks[:] = 5
    assert not match_anchors(sample, at((0, 0, 10))).has_landmarks.any()


@pytest.mark.parametrize("ignored", [(), (0,)])
def test_without_faces_all_is_background_but_what_is_ignored(ignored: tuple[int, ...]) -> None:
    sample = faces((0, 0, 16, 16), ignored=ignored) if ignored else faces()
    matched = match_anchors(sample, square_anchors((64, 64)))
    assert (matched.classes != FACE).all()
    assert (matched.classes == IGNORED).any() == bool(ignored)
    assert not matched.has_landmarks.any()
    assert not matched.box_deltas.any()


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_face_of_a_tenth_of_a_pixel_is_no_trouble(is_ignored: bool) -> None:
    sample = faces((10, 10, 10.1, 10.1), ignored=(0,) if is_ignored else ())
    assert (match_anchors(sample, square_anchors((64, 64))).classes == BACKGROUND).all()


def plain_iou(one: list[float], other: list[float]) -> tuple[float, float, float]:
    """Shared area, IoU, and the second box's area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared, shared / (sum(areas) - shared), areas[1]


def by_loop(
    sample: Sample, corners: list[list[float]], limits: dict[str, float]
) -> tuple[list[int], list[int]]:
    """Class and face of each anchor."""
    kinds, owners = [], []
    table = [[plain_iou(box, corner) for corner in corners] for box in sample.boxes.astype(float).tolist()]
    real = [face for face, is_ignored in enumerate(sample.is_ignored) if not is_ignored]
    for anchor in range(len(corners)):
        best, owner = 0.0, -1
        for face in real:
            if table[face][anchor][1] > best:
                best, owner = table[face][anchor][1], face
        kind = (
            FACE
            if best >= limits["positive_iou"]
            else IGNORED
            if best >= limits["negative_iou"]
            else BACKGROUND
        )
        if kind == BACKGROUND:
            for face in range(len(sample.boxes)):
                shared, overlap, area = table[face][anchor]
                if face not in real and (shared >= 0.5 * area or overlap >= limits["forced_iou"]):
                    kind = IGNORED
        kinds.append(kind)
        owners.append(owner)
    strongest: dict[int, float] = {}
    for face in real:
        overlaps = [table[face][anchor][1] for anchor in range(len(corners))]
        anchor = overlaps.index(max(overlaps))
        if overlaps[anchor] >= limits["forced_iou"] and overlaps[anchor] > strongest.get(anchor, 0):
            strongest[anchor] = overlaps[anchor]
            kinds[anchor], owners[anchor] = FACE, face
    return kinds, owners


def random_faces(seed: int, *, count: int) -> Sample:
    chance = np.random.default_rng(seed)
    corners = chance.uniform(-10, 90, (count, 2))
    sides = np.exp(chance.uniform(np.log(3), np.log(90), (count, 1))) * chance.uniform(0.7, 1.3, (count, 2))
    landmarks = chance.uniform(0, 96, (count, 5, 2)).astype(np.float32)
    landmarks[chance.random(count) < 0.4] = np.nan
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    return Sample(np.zeros((96, 96, 3), np.uint8), boxes, landmarks, chance.random(count) < 0.3)


@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), negative_iou=st.sampled_from([0.35, 0.3, 0.25]))
def test_the_matching_is_that_of_plain_loops(seed: int, count: int, negative_iou: float) -> None:
    sample = random_faces(seed, count=count)
    anchors = square_anchors((48, 64))
    corners = np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], axis=1
    )
    limits = LIMITS | {"negative_iou": negative_iou}
    kinds, owners = by_loop(sample, corners.astype(float).tolist(), limits)
    matched = match_anchors(sample, anchors, negative_iou=negative_iou)
    assert matched.classes.tolist() == kinds
    boxes = decode_boxes(matched.box_deltas, anchors)
    landmarks = decode_landmarks(matched.landmark_deltas, anchors)
    for anchor in np.flatnonzero(matched.classes == FACE):
        face = owners[anchor]
        np.testing.assert_allclose(boxes[anchor], sample.boxes[face], atol=1e-2)
        is_known = bool(np.isfinite(sample.landmarks[face]).all())
        assert matched.has_landmarks[anchor] == is_known
        if is_known:
            np.testing.assert_allclose(landmarks[anchor], sample.landmarks[face], atol=1e-2)
    assert all(np.isfinite(field).all() for field in matched)


def test_many_faces_are_matched_in_portions_as_if_at_once() -> None:
    sample = random_faces(1, count=100)._replace(is_ignored=np.zeros(100, np.bool_))
    anchors = square_anchors((96, 96))
    matched = match_anchors(sample, anchors)
    boxes = decode_boxes(matched.box_deltas, anchors)[matched.classes == FACE]
    nearest = np.abs(boxes[:, None] - sample.boxes).max(axis=2)
    assert nearest.min(axis=1).max() < 0.01
    assert len(set(nearest.argmin(axis=1))) > 50


def test_nearly_every_real_face_of_10_px_has_an_anchor_and_large_ones_have_many(shared: Path) -> None:
    annotations = read_widerface(shared / "data" / "widerface-train9" / "label.txt")
    anchors = square_anchors((640, 640))
    sizes, counts = [], []
    for annotated in annotations.images[::60]:
        sample = letterbox(load_sample(annotated), 640)
        matched = match_anchors(sample, anchors)
        boxes = decode_boxes(matched.box_deltas, anchors)[matched.classes == FACE]
        for box in sample.boxes[~sample.is_ignored]:
            sizes.append((box[2:] - box[:2]).min())
            counts.append((np.abs(boxes - box).max(axis=1) < 0.05).sum())
    is_large, is_small = np.array(sizes) >= 16, np.array(sizes) < 10
    assert is_large.sum() > 30
    assert (~is_small).sum() > 60
    assert np.mean(np.array(counts)[~is_small] > 0) > 0.98
    assert np.mean(np.array(counts)[is_large]) > 5


@pytest.mark.parametrize("limits", [(0.35, 0.4, 0.2), (0.35, 0.3, 0.4), (0.35, 0.3, 0.0)])
def test_limits_must_be_in_order(limits: tuple[float, float, float]) -> None:
    positive, negative, forced = limits
    with pytest.raises(InputError, match="forced_iou <= positive_iou and negative_iou <= positive_iou"):
        match_anchors(faces(), at((0, 0, 1)), positive_iou=positive, negative_iou=negative, forced_iou=forced)


def test_a_batch_is_what_the_loss_expects() -> None:
    anchors = square_anchors((96, 96))
    matched = [match_anchors(random_faces(seed, count=seed), anchors) for seed in range(4)]
    targets = stack_anchor_targets(matched)
    assert targets.classes.shape == (4, len(anchors))
    for number, one in enumerate(matched):
        for stacked, field in zip(targets, one, strict=True):
            np.testing.assert_array_equal(stacked[number].numpy(), field)
    answers = [torch.zeros(4, len(anchors), width) for width in (2, 4, 10)]
    losses = MultiBoxLoss()(*answers, targets=targets)
    assert torch.isfinite(losses.total)
    assert losses.landmarks > 0


def test_a_batch_of_no_image_is_an_error() -> None:
    nobody: list[MatchedAnchors] = []
    with pytest.raises(InputError, match="at least one image"):
        stack_anchor_targets(nobody)
