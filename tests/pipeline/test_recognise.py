"""`recognise`: no face, unknown and known are three different answers, however images are batched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.choices import Answer
from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery
from vultus.interfaces import Detector, Embedder, Gallery
from vultus.pipeline import FaceEmbeddings, embed_faces, recognise, recognise_batch
from vultus.types import Image, Recognition

Paint = Callable[..., Image]


@pytest.fixture
def ask(detector: Detector, embedder: Embedder, gallery: Gallery) -> Callable[..., Recognition]:
    def recognise_it(image: Image, **options: Any) -> Recognition:
        return recognise(image, detector=detector, embedder=embedder, gallery=gallery, **options)

    return recognise_it


def test_the_fakes_keep_the_promises(detector: Detector, embedder: Embedder, gallery: Gallery) -> None:
    assert isinstance(detector, Detector)
    assert isinstance(embedder, Embedder)
    assert isinstance(gallery, Gallery)


def test_a_picture_of_nobody_has_no_face(ask: Callable[..., Recognition], paint: Paint) -> None:
    answer = ask(paint())
    assert answer.answer is Answer.NO_FACE
    assert answer.matches == ()


def test_a_stranger_is_unknown_and_the_closest_are_named(
    ask: Callable[..., Recognition], paint: Paint
) -> None:
    answer = ask(paint(77))
    assert answer.answer is Answer.UNKNOWN
    assert answer.names == (None,)
    (match,) = answer.matches
    assert {candidate.name for candidate in match.candidates} == {"Ada", "Bob"}
    assert match.min_similarity == 0.5


def test_known_people_are_named_face_by_face(ask: Callable[..., Recognition], paint: Paint) -> None:
    answer = ask(paint(20, 77, 10))
    assert answer.answer is Answer.KNOWN
    assert answer.names == ("Bob", None, "Ada")
    assert answer.matches[0].best is not None
    assert answer.matches[0].best.similarity == pytest.approx(1, abs=1e-6)
    assert list(answer.faces.boxes[:, 0]) == [8, 72, 136]


def test_the_threshold_decides(ask: Callable[..., Recognition], paint: Paint) -> None:
    similarity = ask(paint(77)).matches[0].candidates[0].similarity
    assert ask(paint(77), min_similarity=similarity).answer is Answer.KNOWN
    assert ask(paint(77), min_similarity=similarity + 1e-6).answer is Answer.UNKNOWN


def test_top_k_lists_so_many_candidates(ask: Callable[..., Recognition], paint: Paint) -> None:
    assert len(ask(paint(10), top_k=1).matches[0].candidates) == 1


def test_an_empty_gallery_knows_nobody(
    detector: Detector, embedder: Embedder, paint: Paint, tmp_path: Path
) -> None:
    empty = SqliteGallery(tmp_path / "empty.db", contract="painted")
    answer = recognise(paint(10), detector=detector, embedder=embedder, gallery=empty)
    assert answer.answer is Answer.UNKNOWN
    assert answer.matches[0].best is None


def test_a_face_that_cannot_be_aligned_is_unknown_and_the_others_keep_their_names(
    ask: Callable[..., Recognition], embedder: Any, paint: Paint
) -> None:
    embedder.twist(72)
    answer = ask(paint(10, 20, 10))
    assert answer.names == ("Ada", None, "Ada")
    assert answer.matches[1].candidates == ()
    embedder.twist(8)
    assert ask(paint(10)).answer is Answer.UNKNOWN


def test_a_batch_answers_as_single_calls_do(
    ask: Callable[..., Recognition], detector: Detector, embedder: Embedder, gallery: Gallery, paint: Paint
) -> None:
    images = [paint(10), paint(), paint(20, 77), paint(77), paint(10, 10, 20)]
    together = recognise_batch(images, detector=detector, embedder=embedder, gallery=gallery)
    assert len(together) == 5
    for image, answer in zip(images, together, strict=True):
        alone = ask(image)
        assert answer.matches == alone.matches
        assert np.array_equal(answer.faces.boxes, alone.faces.boxes)


def test_no_images_give_no_answers(detector: Detector, embedder: Embedder, gallery: Gallery) -> None:
    assert recognise_batch([], detector=detector, embedder=embedder, gallery=gallery) == []
    assert embed_faces([], [], embedder=embedder) == []


def test_embeddings_stand_beside_their_faces(detector: Detector, embedder: Any, paint: Paint) -> None:
    embedder.twist(72)
    images = [paint(10, 20), paint(), paint(20)]
    answers: list[FaceEmbeddings] = embed_faces(images, detector.detect_batch(images), embedder=embedder)
    assert [list(one.usable) for one in answers] == [[True, False], [], [True]]
    assert np.linalg.norm(answers[0].embeddings, axis=1) == pytest.approx([1, 0])
    assert answers[0].embeddings[0] != pytest.approx(answers[2].embeddings[0])


@pytest.mark.parametrize("threshold", [1.5, -1.5, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(
    ask: Callable[..., Recognition], paint: Paint, threshold: float
) -> None:
    with pytest.raises(InputError, match="between -1 and 1"):
        ask(paint(10), min_similarity=threshold)


def test_without_any_threshold_the_caller_is_asked_for_one(
    ask: Callable[..., Recognition], embedder: Any, paint: Paint
) -> None:
    embedder.min_similarity = None
    with pytest.raises(InputError, match="min_similarity"):
        ask(paint(10))
    assert ask(paint(10), min_similarity=0.4).names == ("Ada",)


def test_embeddings_of_another_contract_are_never_compared(
    ask: Callable[..., Recognition], embedder: Any, paint: Paint
) -> None:
    embedder.contract = "another"
    with pytest.raises(GalleryError, match="contract"):
        ask(paint(10))
