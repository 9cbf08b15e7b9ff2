"""A disk or object storage, by its address: what fsspec opens."""

import os
from dataclasses import dataclass
from typing import Any

from vultus.errors import InputError, MissingExtraError


@dataclass(frozen=True, slots=True)
class Storage:
    """A place, opened.

    Attributes:
        address: a path made absolute, or as given.
        fs: fsspec's file system.
        root: how the file system calls the place.
        is_local: whether it is a path of this machine.
    """

    address: str
    fs: Any
    root: str
    is_local: bool


def is_remote(address: str) -> bool:
    """Whether this is an address such as `s3://bucket/prefix`, rather than a path."""
    return "://" in address


def open_storage(address: str) -> Storage:
    """The place at a path or an address; credentials come from where its library looks for them.

    Raises:
        MissingExtraError: fsspec, or what it needs for this kind of storage, is not installed.
        InputError: no address that fsspec knows.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError("this needs: pip install 'vultus[batch]'") from error
    if not is_remote(address):
        path = os.path.abspath(address)  # noqa: PTH100  links stay
        return Storage(path, fsspec.filesystem("file"), path, is_local=True)
    try:
        fs, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtraError(f"{address} needs another package: {error}") from error
    except ValueError as error:
        raise InputError(f"{address} is no address that fsspec knows: {error}") from error
    return Storage(address, fs, root.rstrip("/"), is_local=False)
