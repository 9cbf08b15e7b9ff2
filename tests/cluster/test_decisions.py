"""What a user says about who is who sticks: at once, on the next run, and when more photos come."""

from collections.abc import Callable
from typing import Any

import pytest

from vultus.cluster import PhotoState, merge, move, name, reject, split
from vultus.errors import GalleryError, InputError, NotEnrolledError

Collection = Any
ADA = {"ada-1.png", "ada-2.png", "both.png"}
BOB = {"bob.png", "both.png"}


def test_nobody_is_in_a_photo_twice(collection: Collection) -> None:
    """Twins look the same; 101 is painted like 100."""
    collection.paint("twins.png", (100, 1), (101, 1))
    collection.paint("one.png", (100, 2))
    collection.run()
    assert collection.person("twins.png", 0) != collection.person("twins.png", 1)
    assert len(collection.people()) == 2
    assert collection.person("one.png") in {collection.person("twins.png", place) for place in (0, 1)}


def test_a_name_sticks_and_new_photos_come_to_it(party: Collection) -> None:
    name(party.state, party.person("ada-1.png"), "  Ada Lovelace ")
    assert party.people()["Ada Lovelace"] == ADA
    party.paint("ada-3.png", (10, 8))
    party.run()
    assert party.people()["Ada Lovelace"] == {*ADA, "ada-3.png"}
    name(party.state, "ada lovelace", "Ada")
    assert party.people()["Ada"] == {*ADA, "ada-3.png"}


def test_a_named_person_stays_together_under_any_threshold(party: Collection) -> None:
    name(party.state, party.person("ada-1.png"), "Ada")
    party.run(min_similarity=1.0)
    assert party.people()["Ada"] == ADA
    assert frozenset({"bob.png"}) in party.groups()
    party.run()
    assert frozenset(BOB) in party.groups()


def test_numbers_stay_when_photos_come_and_go(party: Collection) -> None:
    before = {photo: party.person(photo) for photo in ("ada-1.png", "bob.png", "cleo.png")}
    for number in range(9):
        party.paint(f"a{number}.png", (60, number), (20, 10 + number))
    party.run()
    assert {photo: party.person(photo) for photo in before} == before
    (party.folder / "cleo.png").unlink()
    party.run()
    party.paint("new.png", (80, 1))
    party.run()
    assert int(party.person("new.png")) > max(map(int, before.values())), "no number is given twice"


def test_two_people_become_one_for_good(party: Collection) -> None:
    ada, cleo = party.person("ada-1.png"), party.person("cleo.png")
    assert merge(party.state, ada, [cleo]) == int(ada)
    for _ in range(2):
        assert party.people()[f"Person {ada}"] == {*ADA, "cleo.png"}
        party.run()
    party.paint("cleo-2.png", (30, 2))
    party.run()
    assert len(party.people()) <= 3


def test_a_merged_person_keeps_the_name_that_there_is(party: Collection) -> None:
    name(party.state, party.person("cleo.png"), "Cleo")
    merge(party.state, party.person("ada-1.png"), ["cleo"])
    assert party.people()["Cleo"] == {*ADA, "cleo.png"}


def test_people_who_are_in_one_photo_are_merged_only_by_force(party: Collection) -> None:
    ada, bob = party.person("ada-1.png"), party.person("bob.png")
    with pytest.raises(InputError, match=r"both in both\.png"):
        merge(party.state, ada, [bob])
    assert frozenset(BOB) in party.groups(), "nothing was changed"
    merge(party.state, ada, [bob], force=True)
    party.run()
    assert party.people()[f"Person {ada}"] == ADA | BOB


def test_a_person_is_split_for_good(party: Collection) -> None:
    ada = party.person("ada-1.png")
    new = split(party.state, ada, [party.face("ada-2.png")])
    party.paint("ada-3.png", (10, 8))
    for _ in range(2):
        party.run()
        assert party.person("ada-2.png") == str(new)
        assert party.person("ada-1.png") == party.person("both.png", 0) == ada
    assert party.person("ada-3.png") in {ada, str(new)}


def test_a_face_that_is_not_somebodys_never_comes_back_by_itself(party: Collection) -> None:
    ada = party.person("ada-1.png")
    face = party.face("ada-2.png")
    reject(party.state, ada, [face])
    party.run()
    assert party.person("ada-2.png") != ada
    assert party.person("ada-1.png") == ada
    move(party.state, ada, [face])
    party.run()
    assert party.person("ada-2.png") == ada, "the user may change their mind"


def test_a_rejected_face_is_grouped_with_whom_it_resembles(party: Collection) -> None:
    ada, cleo = party.person("ada-1.png"), party.person("cleo.png")
    merge(party.state, ada, [cleo])
    party.paint("cleo-2.png", (30, 2))
    party.paint("cleo-3.png", (30, 3))
    party.run()
    reject(party.state, ada, [party.face("cleo.png")])
    assert party.person("cleo.png") == party.person("cleo-2.png") != ada


def test_faces_are_moved_even_from_among_the_small_ones(party: Collection) -> None:
    party.paint("far.png", (10, 5, 20))
    party.run()
    (small,) = party.shown().left_out
    ada = party.person("ada-1.png")
    move(party.state, ada, [small.id])
    party.run()
    assert party.people()[f"Person {ada}"] == {*ADA, "far.png"}
    with pytest.raises(InputError, match="twice"):
        move(party.state, ada, [party.face("both.png", 1)])


def test_decisions_are_there_after_opening_the_file_again(party: Collection) -> None:
    name(party.state, party.person("ada-1.png"), "Ada")
    split(party.state, "Ada", [party.face("ada-2.png")])
    before = party.people()
    party.state.close()
    with PhotoState(party.state.path) as again:
        party.state = again
        assert party.people() == before
        party.run()
        assert party.people() == before


@pytest.mark.parametrize(
    ("decide", "error", "message"),
    [
        (lambda at, ada, face: name(at, "nobody", "X"), NotEnrolledError, "number or name 'nobody'"),
        (lambda at, ada, face: name(at, "999", "X"), NotEnrolledError, "'999'"),
        (lambda at, ada, face: name(at, ada, "7"), InputError, "may not be a number"),
        (lambda at, ada, face: name(at, ada, " "), InputError, "visible character"),
        (lambda at, ada, face: name(at, ada, "BOB"), GalleryError, "is called 'Bob'"),
        (lambda at, ada, face: merge(at, ada, [ada]), InputError, "with themselves"),
        (lambda at, ada, face: split(at, ada, []), InputError, "not none"),
        (lambda at, ada, face: split(at, "Bob", [face]), NotEnrolledError, "has no face of the number"),
        (lambda at, ada, face: reject(at, ada, [10_000]), NotEnrolledError, "10000"),
        (lambda at, ada, face: move(at, ada, [10_000]), NotEnrolledError, "10000"),
        (lambda at, ada, face: move(at, ada, []), InputError, "at least one face"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    party: Collection, decide: Callable[..., Any], error: type[Exception], message: str
) -> None:
    name(party.state, party.person("bob.png"), "Bob")
    before = party.people()
    with pytest.raises(error, match=message):
        decide(party.state, party.person("ada-1.png"), party.face("ada-1.png"))
    assert party.people() == before


def test_a_person_does_not_lose_their_last_face(party: Collection) -> None:
    faces = [party.face(photo) for photo in sorted(ADA)]
    for decide in (split, reject):
        with pytest.raises(InputError, match="not all"):
            decide(party.state, party.person("ada-1.png"), faces)


def test_a_question_is_asked_until_the_user_has_answered_it(collection: Collection) -> None:
    collection.paint("a.png", (100, 1))
    collection.paint("b.png", (100, 2))
    collection.paint("c.png", (30, 1))
    collection.run(min_similarity=1.0)
    vectors = {path: face.vector for path, face in by_photo(collection).items()}
    similarity = float(vectors["a.png"] @ vectors["b.png"])
    collection.run(min_similarity=similarity + 0.01)
    (question,) = collection.shown().questions
    assert question.similarity == pytest.approx(similarity, abs=1e-6)
    asked = [collection.person("a.png"), collection.person("b.png")]
    assert sorted(str(one.number) for one in (question.first, question.second)) == sorted(asked)
    name(collection.state, asked[0], "A")
    assert len(collection.shown().questions) == 1
    name(collection.state, asked[1], "B")
    assert collection.shown().questions == ()


def by_photo(collection: Collection) -> dict[str, Any]:
    shown = collection.shown()
    return {shown.paths[face.photo][0]: face for one in shown.people for face in one.faces}
