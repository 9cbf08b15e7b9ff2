"""The values that travel: shapes are checked once, nothing can be changed, and faces select like an array."""

import dataclasses
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vultus.choices import Answer, FaceChoice
from vultus.errors import ShapeError
from vultus.types import (
    Candidate,
    Detections,
    Identity,
    Match,
    Recognition,
    Template,
    Verification,
    checked_image,
)


def faces(count: int) -> Detections:
    """Faces that can be told apart: the i-th has i in every coordinate."""
    numbers = np.arange(count, dtype=np.float32)
    return Detections(
        boxes=numbers[:, None] * 10 + np.array([0, 0, 4, 6], np.float32),
        scores=np.asarray(1 - numbers / 100, dtype=np.float32),
        landmarks=np.tile(numbers[:, None, None], (1, 5, 2)),
    )


def which(detections: Detections) -> list[int]:
    return [int(x) for x in detections.landmarks[:, 0, 0]]


# ---- images ----


def test_an_image_passes_as_it_is() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert checked_image(image) is image


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5), np.uint8), r"image must have shape \(H, W, 3\) .*, got \(4, 5\); .*load_image"),
        (np.zeros((4, 5, 4), np.uint8), r"got \(4, 5, 4\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"got \(1, 4, 5, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), r"at least one pixel, got \(0, 5, 3\)"),
        (np.zeros((4, 5, 3), np.float32), r"image must be uint8 \(0\.\.255\), got float32"),
        (np.zeros((4, 5, 3), np.int8), r"got int8"),
    ],
)
def test_what_is_no_image_is_told_the_shape_or_dtype_that_was_expected(
    array: NDArray[Any], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        checked_image(array)


def test_the_message_names_what_was_checked() -> None:
    with pytest.raises(ShapeError, match=r"^crop must"):
        checked_image(np.zeros(3), what="crop")


# ---- detections ----


def test_detections_hold_float32_whatever_came_in() -> None:
    made = Detections(np.zeros((2, 4), int), [0.5, 0.25], np.zeros((2, 5, 2)))  # type: ignore[arg-type]  # on purpose
    assert {made.boxes.dtype, made.scores.dtype, made.landmarks.dtype} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(made.scores, [0.5, 0.25])


@pytest.mark.parametrize(
    ("boxes", "scores", "landmarks", "message"),
    [
        ((2, 4), (2,), (2, 10), r"^landmarks must have shape \(2, 5, 2\), got \(2, 10\)$"),
        ((2, 5), (2,), (2, 5, 2), r"^boxes must have shape \(2, 4\), got \(2, 5\)$"),
        ((3, 4), (2,), (2, 5, 2), r"^boxes must have shape \(2, 4\), got \(3, 4\)$"),
        ((2, 4), (3,), (2, 5, 2), r"^boxes must have shape \(3, 4\), got \(2, 4\)$"),
        ((2, 4), (2, 1), (2, 5, 2), r"^scores must have shape \(2,\), got \(2, 1\)$"),
        ((2, 4), (2,), (1, 5, 2), r"^landmarks must have shape \(2, 5, 2\), got \(1, 5, 2\)$"),
        ((4,), (), (5, 2), r"^boxes must have shape \(1, 4\), got \(4,\)$"),
        ((0,), (0,), (0,), r"^boxes must have shape \(0, 4\), got \(0,\)$"),
    ],
)
def test_a_field_of_another_shape_is_refused_by_name(
    boxes: tuple[int, ...], scores: tuple[int, ...], landmarks: tuple[int, ...], message: str
) -> None:
    arrays = [np.zeros(shape, np.float32) for shape in (boxes, scores, landmarks)]
    with pytest.raises(ShapeError, match=message):
        Detections(*arrays)


@pytest.mark.parametrize("field", ["boxes", "scores", "landmarks"])
def test_detections_cannot_be_changed(field: str) -> None:
    made = faces(2)
    with pytest.raises(ValueError, match="read-only"):
        getattr(made, field)[0] = 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, field, np.zeros(2))


def test_the_arrays_of_the_caller_stay_theirs() -> None:
    boxes = np.zeros((1, 4), np.float32)
    made = Detections(boxes, np.zeros(1, np.float32), np.zeros((1, 5, 2), np.float32))
    boxes[:] = 7
    assert (made.boxes == 0).all()
    assert boxes.flags.writeable


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (lambda found: found[found.scores > 0.985], [0, 1]),
        (lambda found: found[:3], [0, 1, 2]),
        (lambda found: found[::-1], [4, 3, 2, 1, 0]),
        (lambda found: found[2], [2]),
        (lambda found: found[-1], [4]),
        (lambda found: found[np.int64(3)], [3]),
        (lambda found: found[[0, 2]], [0, 2]),
        (lambda found: found[[3, 3, 1]], [3, 3, 1]),
        (lambda found: found[[]], []),
        (lambda found: found[np.zeros(5, bool)], []),
        (lambda found: found[5:], []),
    ],
)
def test_detections_select_like_an_array(
    select: Callable[[Detections], Detections], expected: list[int]
) -> None:
    chosen = select(faces(5))
    assert isinstance(chosen, Detections)
    assert which(chosen) == expected
    np.testing.assert_array_equal(chosen.boxes[:, 0], np.array(expected, np.float32) * 10)
    assert len(chosen) == len(expected)


@pytest.mark.parametrize("index", [5, -6, [0, 9]])
def test_a_face_that_is_not_there_is_an_index_error(index: Any) -> None:
    with pytest.raises(IndexError):
        faces(5)[index]


@given(mask=st.lists(st.booleans(), max_size=12))
def test_a_mask_keeps_exactly_its_faces_in_order(mask: list[bool]) -> None:
    found = faces(len(mask))
    assert which(found[np.array(mask, bool)]) == [i for i, is_kept in enumerate(mask) if is_kept]


def test_iteration_gives_one_face_at_a_time() -> None:
    assert [which(face) for face in faces(3)] == [[0], [1], [2]]
    assert list(Detections.empty()) == []


def test_no_faces_are_an_empty_value_with_all_its_shapes() -> None:
    nothing = Detections.empty()
    assert len(nothing) == 0
    assert (nothing.boxes.shape, nothing.scores.shape, nothing.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert nothing.sizes_px.shape == (0,)


def test_the_size_of_a_face_is_its_shorter_side() -> None:
    np.testing.assert_array_equal(faces(3).sizes_px, [4, 4, 4])
    assert faces(1).sizes_px.dtype == np.float32


# ---- templates and identities ----


def test_a_template_holds_a_read_only_unit_vector_of_its_own() -> None:
    vector = np.array([0.6, 0.8])
    template = Template(vector)
    vector[:] = 0
    assert template.embedding.dtype == np.float32
    np.testing.assert_allclose(template.embedding, [0.6, 0.8], rtol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        template.embedding[0] = 1
    assert (template.crop, template.quality, template.source) == (None, 1.0, "")


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros(4), "length 1, got 0"),
        (np.array([3.0, 4.0]), "length 1, got 5"),
        (np.array([np.nan, 1.0]), "length 1, got nan"),
        (np.array([np.inf, 1.0]), "length 1, got inf"),
        (np.ones((1, 1)), r"shape \(D,\), got \(1, 1\)"),
        (np.float32(1), r"shape \(D,\), got \(\)"),
        (np.zeros(0), r"shape \(D,\), got \(0,\)"),
    ],
)
def test_only_one_vector_of_length_one_is_an_embedding(vector: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=f"embedding must have {message}"):
        Template(vector)


def test_the_crop_of_a_template_must_be_an_image() -> None:
    unit = np.array([1, 0], np.float32)
    crop = np.zeros((4, 4, 3), np.uint8)
    np.testing.assert_array_equal(Template(unit, crop).crop, crop)
    with pytest.raises(ShapeError, match=r"crop must have shape \(H, W, 3\)"):
        Template(unit, np.zeros((4, 4), np.uint8))


def test_metadata_are_a_read_only_copy() -> None:
    given_metadata = {"room": 7}
    person = Identity("id", "Anna", given_metadata)
    given_metadata["room"] = 8
    assert person.metadata == {"room": 7}
    assert isinstance(person.metadata, MappingProxyType)
    assert Identity("id", "Anna").metadata == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        person.name = "Berta"  # type: ignore[misc]  # what is tested


# ---- answers ----

ANNA, BERTA = Candidate("1", "Anna", 0.7), Candidate("2", "Berta", 0.4)


@pytest.mark.parametrize(
    ("candidates", "min_similarity", "answer", "name"),
    [
        ((ANNA, BERTA), 0.5, Answer.KNOWN, "Anna"),
        ((ANNA, BERTA), 0.7, Answer.KNOWN, "Anna"),  # reaching the threshold is enough
        ((ANNA, BERTA), 0.71, Answer.UNKNOWN, None),
        ((), 0.0, Answer.UNKNOWN, None),
    ],
)
def test_a_match_is_known_if_the_closest_person_reaches_the_threshold(
    candidates: tuple[Candidate, ...], min_similarity: float, answer: Answer, name: str | None
) -> None:
    match = Match(candidates, min_similarity)
    assert match.answer == answer
    assert match.is_known == (answer == Answer.KNOWN)
    assert match.name == name
    assert match.best == (candidates[0] if candidates else None)


@pytest.mark.parametrize(
    ("thresholds", "answer", "names"),
    [
        ([], Answer.NO_FACE, ()),
        ([0.9], Answer.UNKNOWN, (None,)),
        ([0.9, 0.5], Answer.KNOWN, (None, "Anna")),
    ],
)
def test_no_face_unknown_and_known_are_three_answers(
    thresholds: list[float], answer: Answer, names: tuple[str | None, ...]
) -> None:
    matches = tuple(Match((ANNA, BERTA), threshold) for threshold in thresholds)
    recognition = Recognition(faces(len(matches)), matches)
    assert recognition.answer == answer
    assert recognition.names == names


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_recognition_has_one_match_for_each_face(count: int) -> None:
    with pytest.raises(ShapeError, match=f"expected 2 matches, one per face, got {count}"):
        Recognition(faces(2), (Match((), 0.5),) * count)


@pytest.mark.parametrize(("similarity", "is_same"), [(0.5, True), (0.51, True), (0.49, False), (-1.0, False)])
def test_a_verification_is_positive_from_the_threshold_on(similarity: float, is_same: bool) -> None:
    assert Verification(similarity, 0.5, (faces(1), faces(1))).is_same is is_same


def test_answers_and_choices_are_plain_words_in_json() -> None:
    assert [str(answer) for answer in Answer] == ["no_face", "unknown", "not_enough_evidence", "known"]
    assert [str(choice) for choice in FaceChoice] == ["only", "largest", "central"]
