"""Enrolment takes the face that is meant, if it is good enough, and whole people or nobody."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vultus import EnrolmentPolicy, FaceRecognizer, SqliteGallery
from vultus.choices import Answer, FaceChoice
from vultus.errors import FaceCountError, GalleryError, InputError
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import choose_face
from vultus.types import Detections, Image

Paint = Callable[..., Image]
LENIENT = EnrolmentPolicy(min_sharpness=0)  # painted faces are flat


@pytest.fixture
def recognizer(detector: Detector, embedder: Embedder, tmp_path: Path) -> Iterator[FaceRecognizer]:
    made = FaceRecognizer(tmp_path / "enrolled.db", detector=detector, embedder=embedder)
    with made:
        yield made


def stored(recognizer: FaceRecognizer) -> list[tuple[str, int]]:
    return [(person.name, person.template_count) for person in recognizer.gallery.people()]


def boxes_of(*sizes_px: float) -> Detections:
    lefts = np.cumsum([0, *sizes_px[:-1]])
    boxes = np.array([(x, 0, x + side, side) for x, side in zip(lefts, sizes_px, strict=True)], np.float32)
    return Detections(boxes, np.linspace(1, 0.9, len(boxes), dtype=np.float32), np.zeros((len(boxes), 5, 2)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("choice", "left_px"), [(FaceChoice.LARGEST, 30), ("largest", 30), ("central", 10)])
def test_the_face_that_is_meant_is_chosen(choice: str, left_px: float) -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    faces = boxes_of(10, 20, 30)
    assert choose_face(image, faces, choice).boxes[0, 0] == left_px


def test_one_face_needs_no_choice() -> None:
    assert len(choose_face(np.zeros((9, 9, 3), np.uint8), boxes_of(5), FaceChoice.ONLY)) == 1


@pytest.mark.parametrize(("sizes", "count"), [((), 0), ((5, 6), 2), ((5, 6, 7), 3)])
def test_no_face_and_several_are_told_apart(sizes: tuple[float, ...], count: int) -> None:
    faces = boxes_of(*sizes) if sizes else Detections.empty()
    with pytest.raises(FaceCountError, match=r"team\.jpg") as caught:
        choose_face(np.zeros((9, 9, 3), np.uint8), faces, FaceChoice.ONLY, source="team.jpg")
    assert caught.value.face_count == count


def test_photos_are_enrolled_together(recognizer: FaceRecognizer, paint: Paint) -> None:
    done = recognizer.enrol("Ada", [paint(10), paint(10)], metadata={"team": "blue"}, policy=LENIENT)
    assert stored(recognizer) == [("Ada", 2)]
    assert done.identity.metadata == {"team": "blue"}
    assert len(done.faces) == len(done.qualities) == 2
    assert done.warnings == ()
    assert recognizer.identify(paint(10)).names == ("Ada",)


def test_one_bad_photo_among_good_ones_enrols_nobody(recognizer: FaceRecognizer, paint: Paint) -> None:
    with pytest.raises(FaceCountError):
        recognizer.enrol("Ada", [paint(10), paint()], policy=LENIENT)
    assert stored(recognizer) == []


def test_the_crop_and_the_source_are_kept(recognizer: FaceRecognizer, paint: Paint, tmp_path: Path) -> None:
    path = tmp_path / "ada.png"
    cv2.imwrite(str(path), paint(10))
    done = recognizer.enrol("Ada", path, policy=LENIENT)
    (template,) = recognizer.gallery.templates(done.identity.id)
    assert template.source == str(path)
    assert template.crop is not None
    assert template.crop.shape == (8, 8, 3)
    assert template.quality == pytest.approx(done.qualities[0].score)


def test_a_blurred_face_is_refused_unless_forced(recognizer: FaceRecognizer, paint: Paint) -> None:
    with pytest.raises(InputError, match="blurred"):
        recognizer.enrol("Ada", paint(10), policy=EnrolmentPolicy())
    assert stored(recognizer) == []
    recognizer.enrol("Ada", paint(10), policy=EnrolmentPolicy(force=True))
    assert stored(recognizer) == [("Ada", 1)]


def test_a_small_face_is_refused(recognizer: FaceRecognizer, paint: Paint) -> None:
    with pytest.raises(InputError, match="48 px, needed 60"):
        recognizer.enrol("Ada", paint(10), policy=EnrolmentPolicy(min_face_px=60))


def test_a_face_that_cannot_be_aligned_is_refused_even_if_forced(
    recognizer: FaceRecognizer, embedder: Any, paint: Paint
) -> None:
    embedder.twist(8)
    with pytest.raises(InputError, match="aligned"):
        recognizer.enrol("Ada", paint(10), policy=EnrolmentPolicy(force=True))
    with pytest.raises(InputError, match="aligned"):
        recognizer.verify(paint(10), paint(10))


def test_photos_of_two_people_are_refused_unless_forced(recognizer: FaceRecognizer, paint: Paint) -> None:
    with pytest.raises(InputError, match="photo 1 resembles none"):
        recognizer.enrol("Ada", [paint(10), paint(20)], policy=LENIENT)
    with pytest.raises(InputError, match="photo 2 resembles none"):
        recognizer.enrol("Ada", [paint(10), paint(20), paint(10)], policy=LENIENT)
    assert stored(recognizer) == []


def test_somebody_else_is_not_added_to_a_person(recognizer: FaceRecognizer, paint: Paint) -> None:
    recognizer.enrol("Ada", paint(10), policy=LENIENT)
    with pytest.raises(GalleryError, match="looks different"):
        recognizer.enrol("Ada", paint(20), policy=LENIENT)
    assert stored(recognizer) == [("Ada", 1)]
    recognizer.enrol("Ada", paint(20), policy=EnrolmentPolicy(force=True))
    assert stored(recognizer) == [("Ada", 2)]


def test_a_lookalike_of_another_name_is_enrolled_with_a_warning(
    recognizer: FaceRecognizer, paint: Paint
) -> None:
    recognizer.enrol("Ada", paint(10), policy=LENIENT)
    done = recognizer.enrol("Eve", paint(10), policy=LENIENT)
    assert len(done.warnings) == 1
    assert "'Ada'" in done.warnings[0]
    assert "1.000" in done.warnings[0]
    assert recognizer.enrol("Ada", paint(10), policy=LENIENT).warnings != ()
    assert recognizer.enrol("Zoe", paint(10), policy=EnrolmentPolicy(force=True)).warnings == ()


def test_nothing_to_enrol_is_an_error(recognizer: FaceRecognizer) -> None:
    with pytest.raises(InputError, match="no photo"):
        recognizer.enrol("Ada", [])


def test_verify_compares_the_face_that_is_meant(recognizer: FaceRecognizer, paint: Paint) -> None:
    assert recognizer.verify(paint(10), paint(10)).is_same
    result = recognizer.verify(paint(10), paint(20))
    assert not result.is_same
    assert result.min_similarity == 0.5
    with pytest.raises(FaceCountError, match="the second image"):
        recognizer.verify(paint(10), paint(10, 20))
    assert recognizer.verify(paint(20), paint(10, 20, 30), faces="central").is_same


def test_without_a_gallery_it_still_detects_embeds_and_verifies(
    detector: Detector, embedder: Embedder, paint: Paint
) -> None:
    recognizer = FaceRecognizer(detector=detector, embedder=embedder)
    assert len(recognizer.detect(paint(10, 20))) == 2
    assert recognizer.embed(paint(10, 20)).embeddings.shape == (2, 16)
    with pytest.raises(InputError, match="no gallery"):
        recognizer.identify(paint(10))
    recognizer.close()


def test_a_gallery_of_another_embedder_is_refused_at_once(
    detector: Detector, embedder: Embedder, tmp_path: Path
) -> None:
    with (
        SqliteGallery(tmp_path / "other.db", contract="other") as gallery,
        pytest.raises(GalleryError, match="contract"),
    ):
        FaceRecognizer(gallery, detector=detector, embedder=embedder)


def test_batches_answer_as_single_calls_do(recognizer: FaceRecognizer, paint: Paint) -> None:
    recognizer.enrol("Ada", paint(10), policy=LENIENT)
    answers = recognizer.identify_batch([paint(10), paint(), paint(20)])
    assert [answer.answer for answer in answers] == [Answer.KNOWN, Answer.NO_FACE, Answer.UNKNOWN]
    assert answers[0].matches == recognizer.identify(paint(10)).matches
