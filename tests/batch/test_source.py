"""Photos are found in folders, in tar files and in object storage, in one order, and read byte by byte."""

import importlib.util
import io
import pickle
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from vultus.batch import PhotoSource
from vultus.errors import ImageError, InputError, MissingExtraError

Photo = Callable[[int, int], bytes]


@pytest.fixture
def bucket(album: Path) -> Iterator[str]:
    """The album in an object storage that lives in this process."""
    memory, address = fsspec.filesystem("memory"), f"memory://{uuid.uuid4().hex}/album"
    memory.put(str(album), address, recursive=True)
    yield address
    memory.rm(address, recursive=True)


def test_photos_are_listed_by_name_folder_by_folder(album: Path) -> None:
    names = [photo.name for photo in PhotoSource(album).photos()]
    assert names[:2] == ["anna/00.png", "anna/03.png"]
    assert names[-1] == "shard.tar/dora/44.png"
    assert len(names) == 40
    assert "carl/notes.txt" not in names
    assert names == [photo.name for photo in PhotoSource(f"{album}/").photos()]


def test_every_photo_is_read_whole_from_a_folder_and_from_a_tar_file(album: Path) -> None:
    source = PhotoSource(album)
    photos = {photo.name: photo for photo in source.photos()}
    assert source.read(photos["anna/00.png"]) == (album / "anna" / "00.png").read_bytes()
    with tarfile.open(album / "shard.tar") as archive:
        for number in range(40, 45):
            member = archive.extractfile(f"dora/{number}.png")
            assert member is not None
            assert source.read(photos[f"shard.tar/dora/{number}.png"]) == member.read()
    assert photos["shard.tar/dora/40.png"].folder == "dora"
    assert photos["anna/00.png"].folder == "anna"


def test_object_storage_is_listed_and_read_like_a_folder(album: Path, bucket: str) -> None:
    there, here = PhotoSource(bucket), PhotoSource(album)
    stored, local = list(there.photos()), list(here.photos())
    assert [photo.name for photo in stored] == [photo.name for photo in local]
    assert all(there.read(one) == here.read(other) for one, other in zip(stored, local, strict=True))


def test_a_link_to_a_folder_is_followed_where_it_is_asked_for_and_not_within(album: Path) -> None:
    link, loop = album.with_name("link"), album / "anna" / "loop"
    link.symlink_to(album)
    loop.symlink_to(album)
    assert [photo.name for photo in PhotoSource(link).photos()] == [
        photo.name for photo in PhotoSource(album).photos()
    ]
    assert not any("loop" in photo.name for photo in PhotoSource(link).photos())


def test_a_single_photo_and_a_single_tar_file_are_sources(album: Path) -> None:
    (one,) = PhotoSource(album / "anna" / "00.png").photos()
    assert one.name == "00.png"
    assert next(photo.name for photo in PhotoSource(album / "shard.tar").photos()) == "shard.tar/dora/40.png"


def test_the_stamp_changes_with_the_file(album: Path, photo: Photo) -> None:
    before = {photo.name: photo.stamp for photo in PhotoSource(album).photos()}
    assert before == {photo.name: photo.stamp for photo in PhotoSource(album).photos()}
    (album / "anna" / "00.png").write_bytes(photo(500, 1) + b"!")
    after = {photo.name: photo.stamp for photo in PhotoSource(album).photos()}
    assert {name for name in after if after[name] != before[name]} == {"anna/00.png"}


def test_what_cannot_be_listed_says_so_and_the_rest_goes_on(album: Path) -> None:
    (album / "packed.tar.gz").write_bytes(b"")
    (album / "broken.tar").write_bytes(b"no tar file" * 100)
    whole = (album / "shard.tar").read_bytes()
    (album / "cut.tar").write_bytes(whole[: 512 + 1024])
    problems = {photo.name: photo.problem for photo in PhotoSource(album).photos() if photo.problem}
    assert "compressed" in problems["packed.tar.gz"]
    assert "damaged" in problems["broken.tar"]
    assert sum(not photo.problem for photo in PhotoSource(album).photos()) >= 40


def test_a_photo_that_is_cut_off_or_gone_is_an_image_error(album: Path) -> None:
    source = PhotoSource(album)
    photos = {photo.name: photo for photo in source.photos()}
    (album / "anna" / "00.png").unlink()
    with pytest.raises(ImageError, match="not there any more"):
        source.read(photos["anna/00.png"])
    last = photos["shard.tar/dora/44.png"]
    (album / "shard.tar").write_bytes((album / "shard.tar").read_bytes()[: last.start or 0])
    with pytest.raises(ImageError, match="is cut off"):
        source.read(last)


def test_a_name_that_is_no_text_can_be_read_and_printed(tmp_path: Path, photo: Photo) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    path = folder / b"caf\xe9.png".decode(errors="surrogateescape")
    path.write_bytes(photo(1, 1))
    (found,) = PhotoSource(folder).photos()
    assert found.name.encode("utf-8")
    assert PhotoSource(folder).read(found) == path.read_bytes()


def test_a_source_travels_by_its_address(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    source = pickle.loads(pickle.dumps(PhotoSource("anna")))
    assert source.address == str(album / "anna")


def test_addresses_that_cannot_be_opened_are_named() -> None:
    with pytest.raises(InputError, match="no address that fsspec knows"):
        list(PhotoSource("nosuch://bucket/photos").photos())
    with pytest.raises(InputError, match="expected a folder"):
        list(PhotoSource("memory://not-there").photos())


def test_a_storage_whose_library_is_missing_says_which() -> None:
    if importlib.util.find_spec("s3fs") is not None:
        pytest.skip("s3fs is installed here, so nothing is missing")
    with pytest.raises(MissingExtraError, match="s3fs"):
        list(PhotoSource("s3://bucket/photos").photos())


def test_an_empty_archive_is_no_photo(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("readme.txt"), io.BytesIO())
    assert list(PhotoSource(tmp_path).photos()) == []
