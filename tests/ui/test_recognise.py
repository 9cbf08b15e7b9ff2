"""The Recognise tab, for photos: names, unknown faces, and enrolling one of them."""

from typing import Any

import pytest

from vultus.choices import Answer
from vultus.errors import InputError
from vultus.image import load_image
from vultus.types import Candidate, Match
from vultus.ui.desk import Desk
from vultus.ui.messages import Messages
from vultus.ui.recognise import _answer, _guess, enrol_unknown, recognise_photo


def nothing(*_: Any) -> None:
    pass


def test_known_people_are_named(desk: Desk, album: dict[str, str]) -> None:
    desk.recognizer.enrol("Eileen", load_image(album["person"]))
    told, picture, rows, unknown, panel = recognise_photo(desk, album["twice"], on_progress=nothing)
    assert "2 known, 0 unknown" in told
    assert rows.count("<td>Eileen</td>") == 2
    assert picture.shape == (240, 480, 3)
    assert unknown["choices"] == []
    assert panel["visible"] is False


def test_an_empty_gallery_knows_nobody(desk: Desk, album: dict[str, str]) -> None:
    told, _, rows, unknown, panel = recognise_photo(desk, album["twice"], on_progress=nothing)
    assert "0 known, 2 unknown" in told
    assert rows.count("The gallery is empty") == 2
    assert unknown["choices"] == [("Face 1", 1), ("Face 2", 2)]
    assert unknown["value"] == 1
    assert panel["visible"] is True


def test_nobody_is_another_answer(desk: Desk, album: dict[str, str]) -> None:
    told, _, rows, unknown, _ = recognise_photo(desk, album["nobody"], on_progress=nothing)
    assert "No face found" in told
    assert rows == ""
    assert unknown["value"] is None


@pytest.mark.parametrize("number", [1, 2])
def test_the_unknown_face_that_is_meant_is_enrolled(desk: Desk, album: dict[str, str], number: int) -> None:
    (told,) = enrol_unknown(desk, album["twice"], number, "Eileen", on_progress=nothing)
    assert "Eileen is enrolled" in told
    image = load_image(album["twice"])
    kept = desk.recognizer.gallery.templates(desk.recognizer.gallery.find("Eileen").id)[0]
    similarities = desk.recognizer.embed(image).embeddings @ kept.embedding
    assert similarities.argmax() == number - 1
    assert "2 known" in recognise_photo(desk, album["twice"], on_progress=nothing)[0]


@pytest.mark.parametrize(("number", "name"), [(None, "Eileen"), (3, "Eileen"), (0, "Eileen"), (1, " ")])
def test_a_face_that_is_not_there_or_has_no_name_is_refused(
    desk: Desk, album: dict[str, str], number: int | None, name: str
) -> None:
    with pytest.raises(InputError):
        enrol_unknown(desk, album["twice"], number, name, on_progress=nothing)
    assert desk.recognizer.gallery.people() == []


@pytest.mark.parametrize(
    ("similarity", "answer", "guess", "words"),
    [
        (0.5, Answer.KNOWN, "unknown", "known (Threshold 0.400)"),
        (0.35, Answer.UNCERTAIN, "perhaps Ada", "not enough evidence (Threshold 0.400)"),
        (0.1, Answer.UNKNOWN, "unknown", "unknown; closest: Ada (Threshold 0.400)"),
    ],
)
def test_a_doubtful_face_is_neither_known_nor_unknown(
    similarity: float, answer: Answer, guess: str, words: str
) -> None:
    match = Match((Candidate("1", "Ada", similarity),), 0.4, doubtful_from=0.3)
    assert match.answer is answer
    assert _guess(match, Messages()) == guess
    assert _answer(match, Messages()) == words
