"""Archives from a real HTTP server on this machine: only the published bytes are unpacked, only inside."""

import hashlib
import stat
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vultus.errors import ChecksumError, InputError, WeightsError
from vultus.training.data.archives import PublishedArchive, obtain, unpack

GOOD = {
    "pictures/a/1.jpg": b"one",
    "pictures/b/2.jpg": b"two",
    "__MACOSX/._1.jpg": b"",
    "pictures/notes.txt": b"",
}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a mirror serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("VULTUS_MIRROR", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("VULTUS_OFFLINE", raising=False)
        yield folder
        server.shutdown()
        thread.join()


def published(folder: Path, members: dict[str, bytes] = GOOD, *, n_files: int = 2) -> PublishedArchive:
    """An archive of these members, served in that folder."""
    path = zipped(folder / "pictures.zip", members)
    return PublishedArchive(
        name="pictures.zip",
        url="http://nobody.invalid/pictures.zip",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        n_bytes=path.stat().st_size,
        folder="pictures",
        holds="*/*.jpg",
        n_files=n_files,
    )


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_an_archive_is_fetched_verified_unpacked_and_counted(served: Path, tmp_path: Path) -> None:
    archive, data = published(served), tmp_path / "new" / "data"
    assert obtain(archive, data) == data / "pictures"
    assert (data / "pictures" / "b" / "2.jpg").read_bytes() == b"two"
    assert visible(data) == ["pictures", "pictures.zip"]


def test_what_is_unpacked_needs_neither_network_nor_archive(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = published(served)
    obtain(archive, tmp_path / "data")
    (tmp_path / "data" / "pictures.zip").unlink()
    (served / "pictures.zip").unlink()
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    assert obtain(archive, tmp_path / "data") == tmp_path / "data" / "pictures"


def test_an_archive_that_was_put_there_by_hand_is_used_offline(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = published(served)
    (tmp_path / "data").mkdir()
    (served / "pictures.zip").rename(tmp_path / "data" / "pictures.zip")
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    assert obtain(archive, tmp_path / "data").is_dir()


def test_offline_without_the_archive_the_message_says_what_to_put_where(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = published(served)
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    with pytest.raises(WeightsError, match="VULTUS_OFFLINE forbids") as caught:
        obtain(archive, tmp_path)
    assert str(tmp_path / "pictures.zip") in str(caught.value)
    assert archive.sha256 in str(caught.value)


def test_other_bytes_are_never_unpacked(served: Path, tmp_path: Path) -> None:
    archive = published(served)
    zipped(served / "pictures.zip", GOOD | {"pictures/c/3.jpg": b"three"})
    with pytest.raises(ChecksumError, match=archive.sha256):
        obtain(archive, tmp_path / "fetched")
    assert visible(tmp_path / "fetched") == []
    (tmp_path / "own").mkdir()
    (served / "pictures.zip").rename(tmp_path / "own" / "pictures.zip")
    with pytest.raises(ChecksumError, match="is damaged or not the published"):
        obtain(archive, tmp_path / "own")
    assert visible(tmp_path / "own") == ["pictures.zip"]


def test_an_archive_that_holds_something_else_is_not_put_in_place(served: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 3 files \*/\*\.jpg, found 2"):
        obtain(published(served, n_files=3), tmp_path / "data")
    assert visible(tmp_path / "data") == ["pictures.zip"]


def test_an_unpacked_folder_from_which_files_were_lost_is_noticed(served: Path, tmp_path: Path) -> None:
    archive = published(served)
    target = obtain(archive, tmp_path / "data")
    (target / "a" / "1.jpg").unlink()
    with pytest.raises(
        InputError, match=r"expected 2 files .*, found 1.*Remove .*pictures and run this again"
    ):
        obtain(archive, tmp_path / "data")


def test_what_a_killed_process_left_does_no_harm(served: Path, tmp_path: Path) -> None:
    left = tmp_path / ".pictures.part" / "pictures" / "a"
    left.mkdir(parents=True)
    (left / "9.jpg").write_bytes(b"half")
    target = obtain(published(served), tmp_path)
    assert sorted(path.name for path in target.glob("*/*.jpg")) == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/evil.txt", "pictures/../../evil.txt", "..\\evil.txt", "C:/evil.txt"]
)
def test_a_member_that_leaves_the_folder_stops_everything(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "bad.zip", {"good.txt": b"", name: b"evil"})
    with pytest.raises(InputError, match="has a member that may not be unpacked"):
        unpack(path, tmp_path / "inside")
    assert not (tmp_path / "inside").exists()
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_link_in_an_archive_stops_everything(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("pictures")
    link.create_system = 3  # Unix
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(link, str(tmp_path))
    with pytest.raises(InputError, match="has a member that may not be unpacked: 'pictures'"):
        unpack(tmp_path / "bad.zip", tmp_path / "inside")


def test_more_than_fits_on_the_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", {"a.txt": b"a"})
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02") + 24  # the size that the directory claims: 4 bytes
    data[start : start + 4] = b"\xfe\xff\xff\xff"
    members = b"".join([bytes(data[data.index(b"PK\x01\x02") : data.index(b"PK\x05\x06")])] * 60_000)
    directory = data.index(b"PK\x01\x02")
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    end[8:12] = (60_000).to_bytes(2, "little") * 2
    end[12:16] = len(members).to_bytes(4, "little")
    path.write_bytes(bytes(data[:directory]) + members + bytes(end))  # 60,000 times 4 GB: 258 TB
    with pytest.raises(InputError, match=r"unpacks to 257,698,037,640,000 bytes, but"):
        unpack(path, tmp_path / "inside")
    assert not list((tmp_path / "inside").iterdir())


@pytest.mark.parametrize("damage", ["cut", "changed", "no ZIP at all"])
def test_a_damaged_archive_is_an_error_that_names_it(tmp_path: Path, damage: str) -> None:
    path = zipped(tmp_path / "pictures.zip", GOOD)
    data = path.read_bytes()
    damaged = {"cut": data[:-30], "changed": data.replace(b"one", b"0ne"), "no ZIP at all": b"no"}
    path.write_bytes(damaged[damage])
    with pytest.raises(InputError, match=r"pictures\.zip cannot be unpacked into"):
        unpack(path, tmp_path / "inside")


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(served: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot write to .*file.*name another folder"):
        obtain(published(served), tmp_path / "file" / "data")
