"""The real engine, from picture to name: threads and batches answer as single calls do, within 1e-5."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from vultus import EnrolmentPolicy, FaceRecognizer, load_image
from vultus.choices import Answer, FaceChoice
from vultus.image import ImageSource
from vultus.types import Image, Recognition

TOLERANCE = 1e-5  # of a cosine; boxes and landmarks: of a pixel per pixel


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> Image:
    return load_image(astronaut)


@pytest.fixture(scope="module")
def recognizer(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceRecognizer]:
    with FaceRecognizer(tmp_path_factory.mktemp("engine") / "people.db") as made:
        made.enrol("Eileen Collins", portrait)
        yield made


@pytest.fixture(scope="module")
def variants(portrait: Image) -> list[Image]:
    """The portrait in several sizes, mirrored, darker, twice in one picture, and a picture of nobody."""
    sizes = [(300, 300), (411, 380), (512, 512), (640, 700)]
    resized = [np.asarray(cv2.resize(portrait, size_wh), dtype=np.uint8) for size_wh in sizes]
    mirrored = np.ascontiguousarray(portrait[:, ::-1])
    darker = (portrait * 0.5).astype(np.uint8)
    return [*resized, mirrored, darker, np.concatenate([portrait, mirrored], axis=1), np.zeros_like(portrait)]


def assert_equal(answers: list[Recognition], expected: list[Recognition]) -> None:
    assert len(answers) == len(expected) > 0
    for answer, other in zip(answers, expected, strict=True):
        assert answer.names == other.names
        assert np.allclose(answer.faces.boxes, other.faces.boxes, rtol=TOLERANCE, atol=1e-2)
        assert np.allclose(answer.faces.landmarks, other.faces.landmarks, rtol=TOLERANCE, atol=1e-2)
        for match, other_match in zip(answer.matches, other.matches, strict=True):
            similarities = [candidate.similarity for candidate in match.candidates]
            others = [candidate.similarity for candidate in other_match.candidates]
            assert similarities == pytest.approx(others, abs=TOLERANCE)


def test_the_person_is_found_in_every_variant(recognizer: FaceRecognizer, variants: list[Image]) -> None:
    answers = [recognizer.identify(image) for image in variants]
    assert [answer.answer for answer in answers] == [Answer.KNOWN] * 7 + [Answer.NO_FACE]
    assert answers[6].names == ("Eileen Collins", "Eileen Collins")


def test_batches_answer_as_single_calls_do(recognizer: FaceRecognizer, variants: list[Image]) -> None:
    assert_equal(recognizer.identify_batch(variants), [recognizer.identify(image) for image in variants])


def test_sixteen_threads_answer_as_one_does(recognizer: FaceRecognizer, variants: list[Image]) -> None:
    images = variants * 4
    expected = [recognizer.identify(image) for image in variants] * 4
    with ThreadPoolExecutor(16) as pool:
        assert_equal(list(pool.map(recognizer.identify, images)), expected)


def test_known_people_are_told_apart_on_real_photos(photos: Path, tmp_path: Path) -> None:
    policy = EnrolmentPolicy(faces=FaceChoice.LARGEST)
    with FaceRecognizer(tmp_path / "people.db") as recognizer:
        recognizer.enrol("Barack Obama", photos / "obama-1.jpg", policy=policy)
        recognizer.enrol("Joe Biden", photos / "biden-1.jpg", policy=policy)
        assert recognizer.identify(photos / "obama-2.jpg").names[0] == "Barack Obama"
        assert recognizer.identify(photos / "biden-2.jpg").names[0] == "Joe Biden"
        together = recognizer.identify(photos / "obama-and-biden.jpg")
        assert {"Barack Obama", "Joe Biden"} <= set(together.names)
        assert set(recognizer.identify(photos / "six-friends.jpg").names) == {None}
        assert recognizer.identify(photos / "no-faces.jpg").answer is Answer.NO_FACE


def test_a_picture_reads_the_same_from_path_bytes_and_array(
    recognizer: FaceRecognizer, portrait: Image, tmp_path: Path
) -> None:
    from vultus import save_image

    path = tmp_path / "portrait.png"
    save_image(portrait, path)
    sources: list[ImageSource] = [path, str(path), path.read_bytes(), portrait, load_image(path)]
    boxes = [recognizer.detect(source).boxes for source in sources]
    assert all(np.array_equal(box, boxes[0]) for box in boxes)
