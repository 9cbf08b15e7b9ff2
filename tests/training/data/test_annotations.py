"""What is known about an image is checked once, and cannot be changed behind anybody's back."""

import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.training.data.annotations import AnnotatedImage, Annotations, RejectedRow, folder_of


def annotated(**changes: Any) -> AnnotatedImage:
    """Two faces, of which the second has no landmarks and is ignored."""
    landmarks = np.full((2, 5, 2), np.nan)
    landmarks[0] = [[12, 25], [18, 25], [15, 30], [13, 35], [17, 35]]
    fields: dict[str, Any] = {
        "path": Path("crew.jpg"),
        "boxes": [[10, 20, 20, 40], [50, 60, 150, 260]],
        "landmarks": landmarks,
        "is_ignored": [False, True],
        "attributes": {"blur": [0, -1]},
    }
    return AnnotatedImage(**(fields | changes))


def without_faces() -> AnnotatedImage:
    return AnnotatedImage(
        Path("empty.jpg"),
        np.zeros((0, 4), np.float32),
        np.zeros((0, 5, 2), np.float32),
        np.zeros(0, dtype=bool),
    )


def test_an_annotated_image_knows_its_faces() -> None:
    image = annotated()
    assert len(image) == 2
    assert image.boxes.dtype == image.landmarks.dtype == np.float32
    assert image.has_landmarks.tolist() == [True, False]
    assert image.attributes["blur"].tolist() == [0, -1]
    assert image.attributes["blur"].dtype == np.int8


def test_one_unknown_point_is_enough_to_be_without_landmarks() -> None:
    landmarks = annotated().landmarks.copy()
    landmarks[0, 3] = np.nan
    assert annotated(landmarks=landmarks).has_landmarks.tolist() == [False, False]


def test_nothing_of_it_can_be_written_to() -> None:
    boxes = np.array([[10, 20, 20, 40], [50, 60, 150, 260]], np.float32)
    image = annotated(boxes=boxes)
    boxes[0] = 0  # the caller's own array stays the caller's
    assert image.boxes[0].tolist() == [10, 20, 20, 40]
    for array in (image.boxes, image.landmarks, image.is_ignored, image.attributes["blur"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert isinstance(image.attributes, MappingProxyType)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": [[0, 0, 1], [0, 0, 1]]}, r"boxes must have shape \(2, 4\), got \(2, 3\)"),
        ({"landmarks": np.zeros((2, 10))}, r"landmarks must have shape \(2, 5, 2\), got \(2, 10\)"),
        ({"is_ignored": [False]}, r"is_ignored must have shape \(2,\), got \(1,\)"),
        ({"attributes": {"pose": [1, 2, 3]}}, r"pose must have shape \(2,\), got \(3,\)"),
    ],
)
def test_another_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        annotated(**changes)


@pytest.mark.parametrize("box", [[10, 20, 10, 40], [10, 20, 20, 19], [10, np.nan, 20, 40], [0, 0, np.inf, 9]])
def test_a_box_without_area_or_end_is_refused(box: list[float]) -> None:
    with pytest.raises(InputError, match="must be finite with x2 > x1 and y2 > y1"):
        annotated(boxes=[box, [50, 60, 150, 260]])


@pytest.mark.parametrize("point", [[np.nan, 3], [3, np.inf]])
def test_half_a_landmark_is_refused(point: list[float]) -> None:
    landmarks = annotated().landmarks.copy()
    landmarks[1, 0] = point
    with pytest.raises(InputError, match="two finite numbers or two NaN"):
        annotated(landmarks=landmarks)


def test_the_counts_say_how_much_there_is_of_what() -> None:
    rejected = RejectedRow(3, "1 2 3", "expected 10 values, got 3", Path("labels.txt"))
    counts = Annotations((annotated(), without_faces()), (rejected,)).counts()
    assert (counts.images, counts.images_without_faces, counts.faces) == (2, 1, 2)
    assert (counts.ignored, counts.with_landmarks, counts.rejected) == (1, 1, 1)
    assert {size: count for size, count in counts.by_size_px.items() if count} == {"8-16": 1, "64-128": 1}


def test_a_size_on_an_edge_belongs_to_the_larger_bucket() -> None:
    boxes = [[0, 0, 8, 100], [0, 0, 256, 300]]
    by_size = Annotations((annotated(boxes=boxes),), ()).counts().by_size_px
    assert list(by_size) == ["0-8", "8-16", "16-32", "32-64", "64-128", "128-256", "256+"]
    assert list(by_size.values()) == [0, 1, 0, 0, 0, 0, 1]


def test_nothing_at_all_can_be_counted() -> None:
    counts = Annotations((), ()).counts()
    assert counts.images == counts.faces == sum(counts.by_size_px.values()) == 0


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["a/images/1--Crew/x.jpg", "a/images/2--Parade/y.jpg"], "a/images"),
        (["a/images/x.jpg", "a/images/2/y.jpg"], "a/images"),
        (["a/1/x.jpg", "a/1/y.jpg"], "a/1"),
        (["/a/12/x.jpg", "/a/1/y.jpg"], "/a"),
    ],
)
def test_the_folder_of_images_holds_them_all(names: list[str], folder: str) -> None:
    assert folder_of([annotated(path=Path(name)) for name in names]) == Path(folder)


def test_no_images_lie_in_no_folder() -> None:
    with pytest.raises(InputError, match="no image with a face to learn from"):
        folder_of([])


def test_an_annotated_image_goes_to_another_process_and_stays_as_it_was() -> None:
    image = annotated()
    copy = pickle.loads(pickle.dumps(image))
    assert copy.path == image.path
    for name in ("boxes", "landmarks", "is_ignored"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(image, name))
        assert not getattr(copy, name).flags.writeable
    assert copy.attributes["blur"].tolist() == [0, -1]
