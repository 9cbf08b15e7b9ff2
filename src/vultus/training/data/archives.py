"""Published ZIP archives of data: fetched, verified, unpacked, each step whole or not at all."""

import hashlib
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vultus.errors import ChecksumError, InputError
from vultus.weights.environment import mirrored

_UNREADABLE = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError)  # zipfile raises all


class PublishedArchive(NamedTuple):
    """A ZIP file that somebody serves, and what is in it.

    Attributes:
        name: of the file.
        url: where it is served; `VULTUS_MIRROR` replaces all but the name.
        sha256: what its bytes must be.
        n_bytes: how large it is.
        folder: the folder in it that holds all that matters.
        holds: a glob below that folder.
        n_files: how many files that glob must find.
    """

    name: str
    url: str
    sha256: str
    n_bytes: int
    folder: str
    holds: str
    n_files: int


def obtain(archive: PublishedArchive, folder: Path) -> Path:
    """Bring the content of an archive into a folder, unless it is there already.

    An archive that lies in the folder is used, once it has the published SHA-256; another one is fetched. The
    content is unpacked beside its place, counted, and moved there in one step. The archive stays.

    Returns:
        `folder / archive.folder`.

    Raises:
        WeightsError: the archive is not here, and cannot be fetched.
        ChecksumError: it is not the published one.
        InputError: it cannot be unpacked here, or what is unpacked is not complete.
    """
    from filelock import FileLock

    from vultus.weights.download import fetch

    target, path = folder / archive.folder, folder / archive.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{archive.folder}.lock"):
            if not target.exists():
                if path.exists():
                    _verify(archive, path)
                else:
                    fetch(mirrored(archive.url, file_name=archive.name), path, sha256=archive.sha256)
                _unpack_whole(archive, path, target)
            _check_complete(archive, target)
    except OSError as error:
        raise InputError(
            f"cannot write to {folder}: {error.strerror or error}; name another folder"
        ) from error
    return target


def unpack(path: Path, folder: Path) -> None:
    """Unpack a ZIP file; nothing of it can end up outside of the folder.

    Raises:
        InputError: it is damaged, larger than the free space, or has a member that could be written
            elsewhere: an absolute path, `..`, a drive, or a link. Then nothing is unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member, path)
            folder.mkdir(parents=True, exist_ok=True)
            n_bytes, n_free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
            if n_bytes > n_free:
                raise InputError(f"{path} unpacks to {n_bytes:,} bytes, but {folder} has {n_free:,} free")
            archive.extractall(folder, members)
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be unpacked into {folder}: {error}") from error


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(member.filename)
    leaves = name.is_absolute() or ".." in name.parts or "\\" in member.filename or ":" in member.filename
    if leaves or stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(
            f"{path} has a member that may not be unpacked: {member.filename!r}. Do not trust it."
        )


def _unpack_whole(archive: PublishedArchive, path: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed process has left
    try:
        unpack(path, part)
        _check_complete(archive, part / archive.folder)
        (part / archive.folder).rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check_complete(archive: PublishedArchive, target: Path) -> None:
    n_found = sum(path.is_file() for path in target.glob(archive.holds))
    if n_found != archive.n_files:
        raise InputError(
            f"{target} is not all of {archive.name}: expected {archive.n_files:,} files {archive.holds}, "
            f"found {n_found:,}. Remove {target} and run this again."
        )


def _verify(archive: PublishedArchive, path: Path) -> None:
    with path.open("rb") as stream:
        received = hashlib.file_digest(stream, "sha256").hexdigest()
    if received != archive.sha256:
        raise ChecksumError(
            f"{path} is damaged or not the published {archive.name}: expected SHA-256 {archive.sha256} "
            f"({archive.n_bytes:,} bytes), got {received} ({path.stat().st_size:,}). "
            "Remove it, and run this again."
        )
