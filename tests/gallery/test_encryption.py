"""Encryption at rest: what stands in the files, whose key opens it, and what a crash leaves behind."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery, salvage
from vultus.gallery.encryption import encrypt, is_finished, rotate_key
from vultus.gallery.keys import new_key, read_key, write_key
from vultus.image import encode_png
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]
KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
ROTATOR = Path(__file__).with_name("killed_rotator.py")


def is_on_disk(path: Path, template: Template) -> bool:
    assert template.crop is not None
    pixels = encode_png(template.crop)[64:96]
    contents = [file.read_bytes() for file in path.parent.iterdir() if file.is_file()]
    return any(template.embedding.tobytes()[:32] in one or pixels in one for one in contents)


def same(stored: list[Template], given: list[Template]) -> bool:
    return len(stored) == len(given) and all(
        np.array_equal(one.embedding, two.embedding)
        and one.crop is not None
        and two.crop is not None
        and np.array_equal(one.crop, two.crop)
        for one, two in zip(stored, given, strict=True)
    )


def test_nothing_of_a_face_stands_in_the_files(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    before, after = faces(2, seed=1), faces(1, seed=2)
    anna = gallery.enrol("Anna", before)
    assert is_on_disk(path, before[0])
    encrypt(gallery, KEY)
    berta = gallery.enrol("Berta", after)
    for template in (*before, *after):
        assert not is_on_disk(path, template)
    assert same(gallery.templates(anna.id), before)
    assert same(gallery.templates(berta.id), after)
    assert gallery.search(before[1].embedding[np.newaxis])[0][0].name == "Anna"
    assert gallery.check().is_clean


def test_only_the_key_opens_it(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    given = faces(1)
    anna = gallery.enrol("Anna", given)
    encrypt(gallery, KEY)
    gallery.close()
    with SqliteGallery(path, key=KEY) as opened:
        assert same(opened.templates(anna.id), given)
    with pytest.raises(GalleryError, match="does not open"):
        SqliteGallery(path, key=OTHER)
    with SqliteGallery(path) as shut:
        assert [person.name for person in shut.people()] == ["Anna"], "names are not encrypted"
        assert shut.check().is_clean, "damage is found without the key"
        for refused in (
            lambda: shut.templates(anna.id),
            lambda: shut.search(given[0].embedding[np.newaxis]),
            lambda: shut.enrol("Berta", faces(1, seed=2)),
        ):
            with pytest.raises(GalleryError, match="no key was given"):
                refused()


def test_the_environment_may_name_the_key(
    gallery: SqliteGallery, path: Path, faces: MakeFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = gallery.enrol("Anna", faces(1))
    encrypt(gallery, KEY)
    gallery.close()
    write_key(KEY, tmp_path / "people.key")
    monkeypatch.setenv("VULTUS_GALLERY_KEY_FILE", str(tmp_path / "people.key"))
    with SqliteGallery(path) as opened:
        assert len(opened.templates(anna.id)) == 1


def test_a_value_moved_to_another_person_does_not_open(
    gallery: SqliteGallery, path: Path, faces: MakeFaces
) -> None:
    anna, berta = gallery.enrol("Anna", faces(1, seed=1)), gallery.enrol("Berta", faces(1, seed=2))
    encrypt(gallery, KEY)
    gallery.close()
    forge = "UPDATE templates SET vector = (SELECT vector FROM templates WHERE identity_id = ?)"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"{forge} WHERE identity_id = ?", (anna.id, berta.id))
        reseal(connection)
    with SqliteGallery(path, key=KEY) as forged:
        assert forged.check().is_clean, "whoever writes to the file can make checksums"
        assert len(forged.templates(anna.id)) == 1
        with pytest.raises(GalleryError, match="AES-GCM"):
            forged.templates(berta.id)


def test_a_plain_vector_put_into_an_encrypted_gallery_is_refused(
    gallery: SqliteGallery, path: Path, faces: MakeFaces
) -> None:
    anna = gallery.enrol("Anna", faces(1, seed=1, crops=False))
    encrypt(gallery, KEY)
    gallery.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE templates SET vector = ?", (faces(1, seed=9)[0].embedding.tobytes(),))
        reseal(connection)
    with SqliteGallery(path, key=KEY) as forged, pytest.raises(GalleryError, match="put there"):
        forged.templates(anna.id)


def reseal(connection: sqlite3.Connection) -> None:
    """Give all templates the checksums that belong to them."""
    from vultus.gallery.rows import read_templates

    for row in list(read_templates(connection)):
        connection.execute("UPDATE templates SET checksum = ? WHERE id = ?", (row.sealed().checksum, row.id))


def test_a_new_key_makes_the_old_one_useless(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    given = faces(3)
    anna = gallery.enrol("Anna", given)
    encrypt(gallery, KEY)
    stored = path.read_bytes()
    rotate_key(gallery, OTHER)
    assert same(gallery.templates(anna.id), given)
    gallery.close()
    with SqliteGallery(path, key=OTHER) as opened:
        assert same(opened.templates(anna.id), given)
        assert is_finished(opened)
        assert opened.check().is_clean
        assert [entry.action for entry in opened.audit()] == ["enrol", "encrypt", "rotate_key"]
    with pytest.raises(GalleryError, match="does not open"):
        SqliteGallery(path, key=KEY)
    assert stored != path.read_bytes()


def test_others_follow_a_change_of_the_key(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    given = faces(1)
    gallery.enrol("Anna", given)
    with SqliteGallery(path, key=KEY) as reader, SqliteGallery(path) as stranger:
        assert reader.search(given[0].embedding[np.newaxis])[0][0].name == "Anna"
        encrypt(gallery, KEY)
        gallery.enrol("Berta", faces(1, seed=2))
        assert len(reader.search(given[0].embedding[np.newaxis])[0]) == 2
        with pytest.raises(GalleryError, match="no key"):
            stranger.search(given[0].embedding[np.newaxis])
        rotate_key(gallery, OTHER)
        with pytest.raises(GalleryError, match="rotated"):
            reader.enrol("Cora", faces(1, seed=3))


def test_encrypting_twice_or_rotating_nothing_is_refused(gallery: SqliteGallery, faces: MakeFaces) -> None:
    with pytest.raises(GalleryError, match="not encrypted"):
        rotate_key(gallery, KEY)
    encrypt(gallery, KEY)
    encrypt(gallery, KEY)
    assert [entry.action for entry in gallery.audit()] == ["encrypt"], "the second finds nothing to do"
    with pytest.raises(GalleryError, match="does not open"):
        encrypt(gallery, OTHER)


def test_an_encrypted_gallery_is_exported_only_on_request(
    gallery: SqliteGallery, faces: MakeFaces, tmp_path: Path
) -> None:
    given = faces(1)
    gallery.enrol("Anna", given)
    encrypt(gallery, KEY)
    with pytest.raises(GalleryError, match="decrypted"):
        gallery.export(tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
    gallery.export(tmp_path / "out.zip", decrypted=True)
    with SqliteGallery(tmp_path / "new.db", contract="contract-1") as new:
        new.import_from(tmp_path / "out.zip")
        assert same(new.templates(new.find("Anna").id), given)
        (record,) = gallery.records()
        assert same_vector(record.faces[0][0].vector, given[0])


def same_vector(stored: bytes, template: Template) -> bool:
    return stored == template.embedding.tobytes()


def test_salvage_needs_no_key_and_keeps_the_encryption(
    gallery: SqliteGallery, path: Path, faces: MakeFaces, tmp_path: Path
) -> None:
    given = faces(2)
    anna = gallery.enrol("Anna", given)
    encrypt(gallery, KEY)
    gallery.close()
    assert salvage(path, tmp_path / "new.db").damaged == ()
    with SqliteGallery(tmp_path / "new.db", key=KEY) as rescued:
        assert same(rescued.templates(anna.id), given)


@pytest.mark.parametrize("start", ["encrypt", "rotate"])
def test_a_run_that_is_killed_again_and_again_is_finished_in_the_end(
    gallery: SqliteGallery, path: Path, faces: MakeFaces, start: str
) -> None:
    given = faces(600, crops=False)
    anna = gallery.enrol("Anna", given)
    if start == "rotate":
        encrypt(gallery, KEY)
    gallery.close()
    wanted = OTHER if start == "rotate" else KEY
    generator = np.random.default_rng(0)
    kills = 0
    for _ in range(6):
        run = subprocess.Popen(
            [sys.executable, str(ROTATOR), str(path), KEY.hex(), wanted.hex()], stdout=subprocess.PIPE
        )
        assert run.stdout is not None
        run.stdout.readline()  # it begins
        time.sleep(float(generator.uniform(0.0, 0.4)))
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
            kills += 1
        run.communicate()
    assert kills > 0
    subprocess.run(
        [sys.executable, str(ROTATOR), str(path), KEY.hex(), wanted.hex()],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with SqliteGallery(path, key=wanted) as finished:
        assert is_finished(finished)
        assert finished.check().is_clean
        stored = finished.templates(anna.id)
    assert len(stored) == 600
    assert all(np.array_equal(one.embedding, two.embedding) for one, two in zip(stored, given, strict=True))


def test_keys_are_kept_in_files_and_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    assert len(key) == 32
    assert key != new_key()
    file = tmp_path / "people.key"
    write_key(key, file)
    assert file.stat().st_mode & 0o077 == 0
    assert read_key(str(file)) == read_key(f"file:{file}") == key
    with pytest.raises(InputError, match="cannot be made"):
        write_key(key, file)
    monkeypatch.setenv("SOME_KEY", file.read_text())
    assert read_key("env:SOME_KEY") == key


@pytest.mark.parametrize("text", ["", "   ", "no base64!", "c2hvcnQ="])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.key").write_text(text)
    with pytest.raises(InputError):
        read_key(str(tmp_path / "bad.key"))
    with pytest.raises(InputError):
        read_key(str(tmp_path / "missing.key"))
    with pytest.raises(InputError, match="there is no key"):
        read_key("env:VULTUS_NO_SUCH_VARIABLE")
