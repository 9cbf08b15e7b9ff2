"""Where photos lie: folders, tar files among them, a single tar; on a disk or in object storage (fsspec).

Photos are listed in the order of their names, folder by folder, so two listings of one source agree. A tar
file is not unpacked: its headers are read, and each photo in it later with one read of just its bytes. So it
must not be compressed, which gains nothing with photos.

What cannot be listed (a folder without permission, a damaged tar file) is listed as a photo that says so.
"""

import os
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from vultus.batch.storage import Storage, is_remote, open_storage
from vultus.defaults import IMAGE_SUFFIXES
from vultus.errors import ImageError, InputError

RETRY_S: Final = (0.5, 2.0, 8.0)  # pauses before a read from a network is tried again
_VERSIONS: Final = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created")  # the best first
_COMPRESSED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, found but not read.

    Attributes:
        name: its path below the source, "/" between the parts; in a tar file, that file's name and its own.
        place: the file that holds it, as the file system calls it.
        stamp: size and time, as far as they are known: while it stays, so do the contents.
        start: where the bytes begin in a tar file; None where the whole file is the photo.
        n_bytes: how many bytes it has.
        folder: the name of the folder that it lies in; empty where it lies in none below the source.
        problem: why it cannot be read at all; empty where nothing is known against it.
    """

    name: str
    place: str
    stamp: str
    start: int | None = None
    n_bytes: int = 0
    folder: str = ""
    problem: str = ""


class PhotoSource:
    """A folder, a tar file or one photo. Knows no more than its address, so it may travel to other processes.

    Args:
        address: a path, or what fsspec opens: `s3://bucket/prefix`, `gs://...`, `memory://...`.

    Attributes:
        address: the same, a path made absolute.
    """

    def __init__(self, address: str | os.PathLike[str]) -> None:
        text = os.fspath(address)
        self.address = text if is_remote(text) else os.path.abspath(text)  # noqa: PTH100  links stay

    def __reduce__(self) -> tuple[type["PhotoSource"], tuple[str]]:
        return PhotoSource, (self.address,)

    def check(self) -> dict[str, Any]:
        """What there is at the address, as fsspec tells it.

        Raises:
            InputError: there is nothing, or it cannot be reached.
            MissingExtraError: fsspec, or what it needs for this kind of storage, is not installed.
        """
        try:
            info: dict[str, Any] = self._storage.fs.info(self._storage.root)
        except FileNotFoundError as error:
            raise InputError(
                f"there is no {self.address}: expected a folder, a tar file or a photo"
            ) from error
        except OSError as error:
            raise InputError(f"{self.address} cannot be reached: {error}") from error
        return info

    def photos(self) -> Iterator[Photo]:
        """Every photo, by name.

        Raises:
            InputError, MissingExtraError: as `check` does.
        """
        info = self.check()
        if self._storage.fs.isdir(self._storage.root):  # of a link, where it leads
            yield from self._folder(self._storage.root)
        else:
            yield from self._file(info)

    def read(self, photo: Photo) -> bytes:
        """The bytes of a photo.

        Raises:
            ImageError: it cannot be read, or is not there any more.
        """
        end = None if photo.start is None else photo.start + photo.n_bytes
        for pause_s in (*(() if self._storage.is_local else RETRY_S), None):
            try:
                data: bytes = self._storage.fs.cat_file(photo.place, start=photo.start, end=end)
            except FileNotFoundError as error:
                raise ImageError(f"{photo.name} is not there any more") from error
            except OSError as error:
                if pause_s is None:
                    raise ImageError(f"{photo.name} cannot be read: {error}") from error
                time.sleep(pause_s)
            else:
                break
        if photo.start is not None and len(data) != photo.n_bytes:
            raise ImageError(
                f"{photo.name} is cut off: {photo.n_bytes} bytes are listed, {len(data)} are there"
            )
        return data

    @cached_property
    def _storage(self) -> Storage:
        return open_storage(self.address)

    def _folder(self, folder: str) -> Iterator[Photo]:
        try:
            entries = self._storage.fs.ls(folder, detail=True)
        except OSError as error:
            yield self._unreadable(folder, f"the folder cannot be listed: {error}")
            return
        for info in sorted(entries, key=lambda entry: str(entry["name"])):
            if info["name"].rstrip("/") == folder.rstrip("/"):
                continue  # some object stores list a folder in itself
            if info["type"] == "directory":
                yield from self._folder(info["name"])
            elif _is_photo(info["name"]) or _is_archive(info["name"]):
                yield from self._file(info)

    def _file(self, info: dict[str, Any]) -> Iterator[Photo]:
        place = info["name"]
        if not _is_archive(place):
            name = self._name(place)
            n_bytes = int(info.get("size") or 0)
            yield Photo(name, place, _stamp(info), n_bytes=n_bytes, folder=_folder_of(name))
        elif place.lower().endswith(_COMPRESSED):
            reason = (
                "a compressed tar file cannot be read photo by photo; pack the photos without compression"
            )
            yield self._unreadable(place, reason, _stamp(info))
        else:
            yield from self._members(place, _stamp(info))

    def _members(self, place: str, stamp: str) -> Iterator[Photo]:
        """The photos in a tar file, of which only the headers are read."""
        name = self._name(place)
        try:
            with (
                self._storage.fs.open(place, "rb") as stream,
                tarfile.open(fileobj=stream, mode="r:") as archive,
            ):
                for member in archive:
                    if member.isreg() and _is_photo(member.name):
                        inner = _printable(member.name)
                        yield Photo(
                            f"{name}/{inner}",
                            place,
                            f"{member.size} {member.mtime} {member.chksum}",
                            start=member.offset_data,
                            n_bytes=member.size,
                            folder=_folder_of(inner),
                        )
        except (tarfile.TarError, OSError) as error:
            yield self._unreadable(place, f"the tar file is damaged or cannot be read: {error}", stamp)

    def _unreadable(self, place: str, problem: str, stamp: str = "") -> Photo:
        return Photo(self._name(place) or self.address, place, stamp, problem=problem)

    def _name(self, place: str) -> str:
        """Below the source, as it may be printed and stored."""
        root = self._storage.root
        inner = place[len(root) :].strip("/") if place.startswith(root) else place
        return _printable(inner or place.rpartition("/")[2])


def _is_photo(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122  not always a path of this system


def _is_archive(name: str) -> bool:
    return name.lower().endswith((".tar", *_COMPRESSED))


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0].rpartition("/")[2]


def _stamp(info: dict[str, Any]) -> str:
    version = next((info[key] for key in _VERSIONS if info.get(key) is not None), "")
    return f"{info.get('size')} {version}"


def _printable(name: str) -> str:
    """The name, with escapes for what is no text."""
    return name.encode(errors="backslashreplace").decode()
