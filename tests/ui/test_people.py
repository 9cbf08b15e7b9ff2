"""The People tab: enrol, list, search, rename; delete after being asked."""

from dataclasses import replace
from typing import Any

import pytest

from vultus.errors import FaceCountError, GalleryError, InputError
from vultus.image import load_image
from vultus.types import Template
from vultus.ui.desk import Desk
from vultus.ui.people import (
    PAGE,
    ask_before_deleting,
    delete_person,
    enrol_person,
    list_people,
    rename_person,
    show_person,
)


def nothing(*_: Any) -> None:
    pass


@pytest.fixture
def eileen(desk: Desk, album: dict[str, str]) -> str:
    """Enrolled by the engine; her id."""
    return desk.recognizer.enrol("Eileen", load_image(album["person"])).identity.id


def test_photos_of_file_and_camera_are_enrolled_together(desk: Desk, album: dict[str, str]) -> None:
    told, *emptied = enrol_person(
        desk, "Eileen", [album["person"]], album["changed"], "only", on_progress=nothing
    )
    assert "Eileen is enrolled" in told
    assert "2 new, 2 in all" in told
    assert emptied == ["", None, None]
    assert [(one.name, one.template_count) for one in desk.recognizer.gallery.people()] == [("Eileen", 2)]


@pytest.mark.parametrize(
    ("name", "files", "error", "words"),
    [
        (" ", ["person"], InputError, "Give the person a name"),
        ("Eileen", [], InputError, "at least one photo"),
        ("Eileen", ["person", "nobody"], FaceCountError, "no face"),
        ("Eileen", ["twice"], FaceCountError, "2 faces"),
        ("Eileen", ["broken"], InputError, "broken.jpg"),
    ],
)
def test_what_cannot_be_enrolled_leaves_nobody(
    desk: Desk, album: dict[str, str], name: str, files: list[str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        enrol_person(desk, name, [album[file] for file in files], None, "only", on_progress=nothing)
    assert desk.recognizer.gallery.people() == []


def test_somebody_who_is_there_under_another_name_is_warned_of(
    desk: Desk, album: dict[str, str], eileen: str
) -> None:
    told, *_ = enrol_person(desk, "Elaine", [album["changed"]], None, "only", on_progress=nothing)
    assert "v-warn" in told
    assert "also looks like &#x27;Eileen&#x27;" in told


def test_a_name_is_text_wherever_it_is_shown(desk: Desk, album: dict[str, str]) -> None:
    name = "<img src=x onerror=alert(1)>'; DROP TABLE people;--"
    told, *_ = enrol_person(desk, name, [album["person"]], None, "only", on_progress=nothing)
    person = desk.recognizer.gallery.find(name)
    _, shown, *_ = show_person(desk, person.id, on_progress=nothing)
    _, question, _ = ask_before_deleting(desk, person.id, on_progress=nothing)
    for html in (told, shown, question):
        assert "<img src=x" not in html
        assert "&lt;img src=x" in html


def test_people_are_listed_with_their_faces(desk: Desk, eileen: str) -> None:
    told, pictures, ids, choice, pages = list_people(desk, "", 1, on_progress=nothing)
    assert "1 of 1" in told
    assert [(picture.shape, name) for picture, name in pictures] == [((112, 112, 3), "Eileen")]
    assert ids == [eileen]
    assert choice["choices"] == [("Eileen", eileen)]
    assert pages["visible"] is False


def test_a_search_finds_parts_of_names_and_says_when_there_are_none(desk: Desk, eileen: str) -> None:
    assert list_people(desk, " LEE", 1, on_progress=nothing)[2] == [eileen]
    told, pictures, *_ = list_people(desk, "bob", 1, on_progress=nothing)
    assert "Nobody&#x27;s name contains this" in told
    assert pictures == []


def test_an_empty_gallery_is_told(desk: Desk) -> None:
    assert "Nobody is enrolled yet" in list_people(desk, "", 1, on_progress=nothing)[0]


def test_many_people_are_shown_page_by_page(desk: Desk, eileen: str) -> None:
    embedding = desk.recognizer.gallery.templates(eileen)[0].embedding
    for number in range(PAGE):
        desk.recognizer.gallery.enrol(f"No crop {number:02}", [Template(embedding)])
    first, second = (list_people(desk, "", page, on_progress=nothing) for page in (1, 99))
    assert len(first[2]) == PAGE
    assert len(second[2]) == 1
    assert second[4]["value"] == 2
    assert {*first[2], *second[2]} == {person.id for person in desk.recognizer.gallery.people()}
    _, shown, *_ = show_person(desk, second[2][0], on_progress=nothing)
    assert "no picture kept" in shown


def test_a_person_is_shown_with_their_photos(desk: Desk, eileen: str) -> None:
    _, shown, name, panel = show_person(desk, eileen, on_progress=nothing)
    assert name == "Eileen"
    assert shown.count("<img") == 1
    assert panel["visible"] is True
    assert show_person(desk, None, on_progress=nothing)[3]["visible"] is False


def test_renaming_keeps_the_person(desk: Desk, eileen: str) -> None:
    (told,) = rename_person(desk, eileen, "Eileen Collins", on_progress=nothing)
    assert "Eileen is now called Eileen Collins" in told
    assert desk.recognizer.gallery.find("Eileen Collins").id == eileen


def test_a_name_that_is_taken_is_refused(desk: Desk, eileen: str) -> None:
    embedding = desk.recognizer.gallery.templates(eileen)[0].embedding
    desk.recognizer.gallery.enrol("Bob", [Template(embedding)])
    with pytest.raises(GalleryError, match="Bob"):
        rename_person(desk, eileen, "Bob", on_progress=nothing)


def test_asking_deletes_nobody_and_deleting_does(desk: Desk, eileen: str) -> None:
    _, question, sure = ask_before_deleting(desk, eileen, on_progress=nothing)
    assert "Delete Eileen with 1 enrolled photos?" in question
    assert sure["visible"] is True
    assert len(desk.recognizer.gallery.people()) == 1
    told, sure, chosen = delete_person(desk, eileen, on_progress=nothing)
    assert "Eileen is deleted" in told
    assert (sure["visible"], chosen) == (False, None)
    assert desk.recognizer.gallery.people() == []


@pytest.mark.parametrize("action", [ask_before_deleting, delete_person])
def test_nobody_chosen_is_said(desk: Desk, action: Any) -> None:
    with pytest.raises(InputError, match="Choose a person first"):
        action(desk, None, on_progress=nothing)


def test_somebody_deleted_meanwhile_is_said(desk: Desk, eileen: str) -> None:
    desk.recognizer.gallery.remove(eileen)
    with pytest.raises(GalleryError):
        delete_person(replace(desk), eileen, on_progress=nothing)
