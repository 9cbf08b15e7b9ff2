"""Every error of the tree becomes a notice with its own title; rights are asked before anything is done."""

from dataclasses import replace
from typing import Any

import gradio
import pytest

from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER
from vultus.errors import (
    BusyError,
    CredentialsError,
    DeviceError,
    FaceCountError,
    GalleryError,
    ImageError,
    InputError,
    MissingExtraError,
    ScopeError,
    VultusError,
    WeightsError,
)
from vultus.ui.desk import Desk, explained
from vultus.ui.host import Host, PageEvent
from vultus.ui.messages import LANGUAGES, Messages
from vultus.ui.visitor import EVERYTHING, Visitor

ERRORS = [
    ImageError("engine's words"),
    InputError("engine's words"),
    GalleryError("engine's words"),
    WeightsError("engine's words"),
    MissingExtraError("engine's words"),
    DeviceError("engine's words"),
    VultusError("engine's words"),
    BusyError("engine's words"),
    FaceCountError("engine's words", face_count=0),
    FaceCountError("engine's words", face_count=3),
    ScopeError("engine's words"),
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_error_has_a_title_of_its_own(language: str) -> None:
    told = [explained(error, Messages(language)) for error in ERRORS]
    titles = [html.partition("<strong>")[2].partition("</strong>")[0] for html in told]
    assert len(set(titles)) == len(ERRORS)
    assert all("engine&#x27;s words" in html for html in told)
    assert all('role="alert"' in html for html in told)


def test_a_session_that_is_over_says_what_to_do() -> None:
    assert "Load the page again" in explained(CredentialsError("over"), Messages())


def shout(desk: Desk, word: str, *, on_progress: Any) -> tuple[str, str]:
    if not word:
        raise InputError("say something")
    return "", word.upper()


REQUEST = gradio.Request()


def test_an_action_answers_what_it_answers(desk: Desk) -> None:
    assert desk.answering(shout, blank=("-",))(REQUEST, gradio.Progress(), "hi") == ("", "HI")


def test_an_error_takes_away_what_was_shown_before(desk: Desk) -> None:
    told, shown = desk.answering(shout, blank=("-",))(REQUEST, gradio.Progress(), "")
    assert "say something" in told
    assert shown == "-"


def test_a_mistake_of_ours_is_no_notice(desk: Desk) -> None:
    with pytest.raises(AttributeError):
        desk.answering(shout, blank=())(REQUEST, gradio.Progress(), 7)


def test_a_reader_may_not_change_anything_and_every_try_is_noted(desk: Desk) -> None:
    noted: list[PageEvent] = []
    reader = replace(
        desk,
        visitor_of=lambda _: Visitor("reader", frozenset({"read"}), "k1"),
        host=Host(note=noted.append),
    )
    shouting: dict[str, Any] = {"blank": ("-",), "scope": "enrol", "changes": "somebody"}
    told, _ = reader.answering(shout, **shouting)(REQUEST, gradio.Progress(), "hi")
    assert "Your key does not allow this" in told
    assert reader.answering(shout, blank=("-",))(REQUEST, gradio.Progress(), "hi") == ("", "HI")
    writer = replace(reader, visitor_of=lambda _: EVERYTHING)
    writer.answering(shout, **shouting)(REQUEST, gradio.Progress(), "hi")
    writer.answering(shout, **shouting)(REQUEST, gradio.Progress(), "")
    with pytest.raises(AttributeError):
        writer.answering(shout, **shouting)(REQUEST, gradio.Progress(), 7)
    assert [(event.key_id, event.name, event.target, event.status) for event in noted] == [
        ("k1", "reader", "hi", 403),
        ("", "anybody", "hi", 200),
        ("", "anybody", "", 422),
        ("", "anybody", "7", 500),
    ]
    assert {event.action for event in noted} == {"shout"}


def test_whoever_asks_for_more_than_they_may_is_noted_though_nothing_would_change(desk: Desk) -> None:
    noted: list[PageEvent] = []
    reader = replace(
        desk, visitor_of=lambda _: Visitor("reader", frozenset({"read"})), host=Host(note=noted.append)
    )
    reader.answering(shout, blank=("-",), scope="admin")(REQUEST, gradio.Progress(), "hi")
    assert [(event.action, event.target, event.status) for event in noted] == [("shout", "", 403)]


def test_the_header_tells_the_state_of_the_engine(desk: Desk) -> None:
    html = desk.header(addresses={"en": "/en/"}, sign_out="/logout")
    for words in (DEFAULT_DETECTOR, DEFAULT_EMBEDDER, "<b>0</b>", "/logout"):
        assert words in html


def test_a_bad_file_is_named_as_the_visitor_knows_it(desk: Desk, album: dict[str, str]) -> None:
    with pytest.raises(ImageError, match=r"broken\.jpg") as refused:
        desk.read(album["broken"])
    assert album["broken"] not in str(refused.value)


def test_a_photo_over_the_cap_is_refused(desk: Desk, album: dict[str, str]) -> None:
    with pytest.raises(ImageError, match="pixels"):
        replace(desk, max_pixels=1000).read(album["person"])
