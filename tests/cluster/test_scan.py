"""A second run looks only at what is new; what is gone is forgotten; a crash costs one photo at most."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from vultus.cluster import PhotoState, decisions, group_people, scan
from vultus.errors import GalleryError, InputError

Collection = Any


def test_people_are_found(party: Collection) -> None:
    assert party.groups() == {
        frozenset({"ada-1.png", "ada-2.png", "both.png"}),
        frozenset({"bob.png", "both.png"}),
        frozenset({"cleo.png"}),
    }


def test_a_second_run_looks_at_nothing(party: Collection) -> None:
    before, looks = party.people(), party.detector.looks
    done = party.run()
    assert (done.files, done.looked_at, done.added, done.changed, done.removed) == (5, 0, 0, 0, 0)
    assert party.detector.looks == looks == 5
    assert party.people() == before


def test_only_the_new_photo_is_looked_at_and_joins_its_person(party: Collection) -> None:
    party.paint("later/ada.png", (10, 9))
    done = party.run()
    assert (done.looked_at, done.added) == (1, 1)
    assert frozenset({"ada-1.png", "ada-2.png", "both.png", "later/ada.png"}) in party.groups()


def test_a_photo_that_is_moved_copied_or_touched_is_not_looked_at_again(party: Collection) -> None:
    person = party.person("bob.png")
    (party.folder / "bob.png").rename(party.folder / "robert.png")
    shutil.copy(party.folder / "cleo.png", party.folder / "cleo copy.png")
    os.utime(party.folder / "ada-1.png", (0, 0))
    done = party.run()
    assert (done.looked_at, done.added, done.changed, done.removed) == (0, 2, 0, 1)
    assert party.person("robert.png") == person
    assert frozenset({"cleo.png", "cleo copy.png"}) in party.groups(), "one photo in two files"


def test_a_removed_photo_is_forgotten_down_to_its_bytes(party: Collection) -> None:
    shown = party.shown()
    (gone,) = [face for one in shown.people for face in one.faces if "cleo.png" in shown.paths[face.photo]]
    vector = gone.vector.astype("<f4").tobytes()
    assert vector in party.state.path.read_bytes()
    (party.folder / "cleo.png").unlink()
    assert party.run().removed == 1
    assert not any("cleo.png" in photos for photos in party.people().values())
    assert vector not in party.state.path.read_bytes()
    assert gone.photo.encode() not in party.state.path.read_bytes()


def test_an_empty_folder_forgets_nobody(party: Collection) -> None:
    for path in party.folder.glob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match="not mounted"):
        party.run()
    assert len(party.people()) == 3


def test_what_was_said_of_an_edited_photo_is_kept(party: Collection) -> None:
    """Every byte of the file is another, the faces are the same: what tagging photos does."""
    decisions.name(party.state, party.person("cleo.png"), "Cleo")
    rejected = party.person("ada-1.png")
    decisions.reject(party.state, rejected, [party.face("ada-2.png")])
    assert party.person("ada-2.png") != rejected
    party.paint("cleo.png", (30, 1), tint=250)
    party.paint("ada-2.png", (10, 2), tint=250)
    done = party.run()
    assert (done.looked_at, done.changed) == (2, 2)
    assert party.people()["Cleo"] == {"cleo.png"}
    assert party.person("ada-2.png") != rejected


def test_another_picture_under_the_same_name_inherits_nothing(party: Collection) -> None:
    decisions.name(party.state, party.person("cleo.png"), "Cleo")
    party.paint("cleo.png", (40, 1))
    party.run()
    assert "Cleo" not in party.people()


def test_a_file_that_is_no_image_is_told_of_and_tried_again(party: Collection) -> None:
    (party.folder / "broken.png").write_bytes(b"no image")
    for _ in range(2):
        done = party.run()
        ((path, error),) = done.failures
        assert path.name == "broken.png"
        assert str(error)
    assert len(party.people()) == 3
    party.paint("broken.png", (10, 7))
    assert party.run().failures == ()


def test_what_is_known_of_a_file_that_cannot_be_opened_stays(party: Collection) -> None:
    (party.folder / "cleo.png").unlink()
    (party.folder / "cleo.png").mkdir()
    done = party.run()
    assert "cannot be read" in str(done.failures[0][1])
    assert frozenset({"cleo.png"}) in party.groups()


def test_small_faces_are_kept_but_grouped_with_nobody(party: Collection) -> None:
    party.paint("far.png", (10, 5, 20), (10, 6, 20))
    party.run()
    assert len(party.shown().left_out) == 2
    group_people(party.state, min_similarity=0.5, min_face_px=10)
    assert party.shown().left_out == ()
    assert "far.png" in party.people()[f"Person {party.person('ada-1.png')}"]


def test_a_killed_run_goes_on_where_it_was(collection: Collection) -> None:
    for number in range(6):
        collection.paint(f"{number}.png", (10 * number, 1))
    whole = collection.detector.detect_batch

    def fails(images: Any) -> Any:
        if collection.detector.looks == 4:
            raise KeyboardInterrupt
        return whole(images)

    collection.detector.detect_batch = fails
    with pytest.raises(KeyboardInterrupt):
        collection.run()
    collection.detector.detect_batch = whole
    done = collection.run()
    assert 2 <= done.looked_at < 6, "what was looked at is not looked at again"
    assert len(collection.people()) == 6


def test_vectors_of_two_embedders_are_never_compared(party: Collection) -> None:
    class Other:
        contract = "another"

    with pytest.raises(GalleryError, match="embedded under contract painted"):
        scan(party.state, [], folder=party.folder, detector=party.detector, embedder=Other())  # type: ignore[arg-type]


def test_photos_in_any_order_and_number_of_runs_give_the_same_people(
    collection: Collection, tmp_path: Path
) -> None:
    names = [f"{number:02}.png" for number in range(12)]
    for number, name in enumerate(names):
        collection.paint(name, (10 * (number % 3), number), (100 + number % 2, number))
    aside = tmp_path / "aside"
    shutil.copytree(collection.folder, aside)
    for name in names:
        (collection.folder / name).unlink()
    for name in reversed(names):
        shutil.copy(aside / name, collection.folder / name)
        collection.run()
    bit_by_bit = collection.groups()
    with PhotoState(tmp_path / "fresh.db", create=True) as fresh:
        collection.state = fresh
        collection.run()
        assert collection.groups() == bit_by_bit
    assert len(bit_by_bit) == 4
