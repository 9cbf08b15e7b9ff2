"""Every face of every photo is indexed, once, and a run over what is done does nothing."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vultus.batch import GallerySink, Indexed, Manifest, index_photos
from vultus.batch.sinks import face_id
from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery

Index = Callable[..., Indexed]
Photo = Callable[[int, int], bytes]
Contents = Callable[..., list[Any]]


@pytest.fixture
def index(indexer: ModuleType, tmp_path: Path) -> Index:
    """`index(folder, people="none", into="people.db", manifest=None)`: index in this process."""

    def run(
        folder: Path | str,
        people: str = "none",
        *,
        into: str = "people.db",
        manifest: str = "",
        **options: Any,
    ) -> Indexed:
        work = indexer.work_of(folder, people)
        with (
            Manifest(tmp_path / (manifest or f"{into}.manifest")) as book,
            SqliteGallery(tmp_path / into, contract=indexer.CONTRACT) as gallery,
        ):
            sink = GallerySink(gallery, contract=indexer.CONTRACT)
            done = index_photos(work, sink, book, photos_per_portion=4, photos_per_batch=8, **options)
            book.write_quarantine(tmp_path / "quarantine.jsonl")
            return done

    return run


def quarantined(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["photo"]: line for line in map(json.loads, lines)}


def test_every_face_becomes_an_identity_that_tells_where_it_is_seen(
    index: Index, album: Path, tmp_path: Path
) -> None:
    done = index(album)
    assert (done.photos, done.done, done.repeated, done.quarantined) == (40, 40, 1, 2)
    assert done.indexed == 37
    with SqliteGallery(tmp_path / "people.db") as gallery:
        people = gallery.people()
        assert len(people) == done.faces == 14 + 2 * 6 + 3 * 6 + 5
        seen = {(one.metadata["photo"], one.metadata["face"]): one for one in people}
        third = seen["berta/04.png", 3]
        assert third.name.startswith("04.png ")
        assert third.metadata["box"] == [2.0, 2.0, 66.0, 66.0]
        (template,) = gallery.templates(third.id)
        path, _, digest = template.source.rpartition(" sha256:")
        assert path == str(album / "berta" / "04.png")
        assert third.id == face_id(digest, 3)
        assert ("shard.tar/dora/40.png", 1) in seen


def test_what_cannot_be_used_is_listed_with_its_reason(index: Index, album: Path, tmp_path: Path) -> None:
    index(album)
    listed = quarantined(tmp_path)
    assert set(listed) == {"berta/cut.png", "carl/text.jpg"}
    assert "truncated or damaged" in listed["berta/cut.png"]["reason"]
    assert listed["carl/text.jpg"]["error"] == "image_error"
    assert len(listed["carl/text.jpg"]["sha256"]) == 64


def test_a_second_run_does_nothing(index: Index, album: Path, tmp_path: Path, contents: Contents) -> None:
    index(album)
    before = contents(tmp_path / "people.db")
    done = index(album)
    assert (done.done, done.indexed, done.quarantined) == (0, 37, 2)
    assert contents(tmp_path / "people.db") == before


def test_a_folder_that_has_grown_or_changed_costs_what_is_new(
    index: Index, album: Path, photo: Photo
) -> None:
    faces = index(album).faces
    (album / "anna" / "new.png").write_bytes(photo(200, 2))
    (album / "anna" / "06.png").write_bytes(photo(201, 1) + b"of another size")
    (album / "anna" / "09.png").unlink()
    done = index(album)
    assert (done.photos, done.done, done.faces) == (40, 2, faces + 3)


def test_a_photo_in_quarantine_is_tried_again_when_asked_or_changed(
    index: Index, album: Path, photo: Photo
) -> None:
    index(album)
    assert index(album, retry=True).done == 2
    (album / "berta" / "cut.png").write_bytes(photo(99, 1))
    done = index(album)
    assert (done.done, done.indexed, done.quarantined) == (1, 38, 1)


def test_with_folders_of_people_each_photo_is_added_to_its_person(
    index: Index, album: Path, tmp_path: Path
) -> None:
    done = index(album, "folder")
    with SqliteGallery(tmp_path / "people.db") as gallery:
        counts = {one.name: one.template_count for one in gallery.people()}
    ones = {name: sum(n % 5 < 2 for n in range(32) if n % 3 == i) for i, name in enumerate(["anna", "berta"])}
    assert counts["anna"] == ones["anna"]
    assert counts["berta"] == ones["berta"] + 1  # a copy of anna's photo, which berta's folder says is hers
    assert counts["dora"] == 5
    assert sum(counts.values()) == done.faces
    listed = quarantined(tmp_path)
    assert listed["carl/02.png"]["error"] == "face_count_error"
    assert "2 faces found" in listed["carl/02.png"]["reason"]
    assert "no face found" in listed["anna/03.png"]["reason"]


def test_a_photo_outside_of_every_folder_is_nobodys(
    index: Index, album: Path, photo: Photo, tmp_path: Path
) -> None:
    (album / "loose.png").write_bytes(photo(300, 1))
    index(album, "folder")
    assert "lies in no folder" in quarantined(tmp_path)["loose.png"]["reason"]


@pytest.mark.parametrize("people", ["none", "folder"])
def test_a_lost_manifest_brings_nothing_twice(
    index: Index, album: Path, people: str, tmp_path: Path, contents: Contents, photo: Photo
) -> None:
    index(album, people)
    before = contents(tmp_path / "people.db")
    done = index(album, people, manifest="another")
    assert done.done == 40
    assert contents(tmp_path / "people.db") == before
    (album / "anna" / "new.png").write_bytes(photo(200, 1))
    assert index(album, people, manifest="another").done == 1
    assert len(str(contents(tmp_path / "people.db"))) > len(str(before))


def test_two_sources_share_a_manifest_and_their_copies(
    index: Index, album: Path, tmp_path: Path, photo: Photo
) -> None:
    faces = index(album).faces
    other = tmp_path / "other" / "anna"
    other.mkdir(parents=True)
    (other / "00.png").write_bytes((album / "anna" / "03.png").read_bytes())
    (other / "01.png").write_bytes(photo(400, 1))
    done = index(other.parent)
    assert (done.photos, done.indexed, done.repeated, done.faces) == (2, 1, 1, faces + 1)
    assert index(album).done == 0


def test_going_on_in_another_way_is_refused(index: Index, album: Path) -> None:
    index(album)
    with pytest.raises(InputError, match="begun with people none, this run has folder"):
        index(album, "folder")
    with pytest.raises(InputError, match=r"begun with sink people\.db, this run has others\.db"):
        index(album, into="others.db", manifest="people.db.manifest")


def test_a_gallery_that_was_lost_is_noticed(index: Index, album: Path, tmp_path: Path) -> None:
    index(album)
    (tmp_path / "people.db").unlink()
    with pytest.raises(GalleryError, match=r"is empty, and the manifest .* says that 49 faces"):
        index(album)


def test_half_a_photo_is_taken_out_and_done_again(
    index: Index, album: Path, tmp_path: Path, contents: Contents
) -> None:
    """As an engine without transactions may leave it: the batch begun, one of three faces there."""
    index(album)
    before = contents(tmp_path / "people.db")
    with closing(sqlite3.connect(tmp_path / "people.db.manifest")) as book, book:
        (batch,) = book.execute("SELECT batch FROM contents WHERE faces = 3 LIMIT 1").fetchone()
        book.execute("UPDATE batches SET is_written = 0 WHERE id = ?", (batch,))
        book.execute(
            "UPDATE photos SET state = 'listed' WHERE seq IN (SELECT photo FROM contents WHERE batch = ?)",
            (batch,),
        )
        (key,) = book.execute("SELECT key FROM contents WHERE faces = 3 AND batch = ?", (batch,)).fetchone()
    with SqliteGallery(tmp_path / "people.db") as gallery:
        gallery.remove(face_id(key.rstrip("/"), 2))
    done = index(album)
    assert done.done == 1
    assert contents(tmp_path / "people.db") == before


def test_no_photo_is_an_error(index: Index, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is no photo at"):
        index(tmp_path / "empty")
    with pytest.raises(InputError, match="expected a folder, a tar file or a photo"):
        index(tmp_path / "nowhere")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Manifest(tmp_path / "book"), pytest.raises(InputError, match="another run has the manifest"):
        Manifest(tmp_path / "book")
    Manifest(tmp_path / "book").close()


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book").write_bytes(b"something else altogether" * 10)
    with pytest.raises(InputError, match="cannot be opened"):
        Manifest(tmp_path / "book")
    with (
        SqliteGallery(tmp_path / "people.db"),
        pytest.raises(InputError, match="no manifest of this version"),
    ):
        Manifest(tmp_path / "people.db")


def test_work_travels_without_its_parts(indexer: ModuleType, album: Path) -> None:
    work = indexer.work_of(album)
    _ = work.parts
    assert "parts" not in work.__getstate__()
    assert replace(work, keep_crops=False).source.address == str(album)
