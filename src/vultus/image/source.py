"""What an image can be read from, and a plain sentence for each way in which that fails."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

from numpy.typing import NDArray

from vultus.errors import ImageError

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[Any]

_LONGEST_NAME = 200  # characters of a path that a message shows
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)


@contextmanager
def opened(source: Any) -> Iterator[tuple[BinaryIO, str]]:
    """A seekable stream that stands on the first byte, and how messages call it.

    A file is closed at the end; a file object that the caller opened is read to its end and left open.

    Raises:
        ImageError: there is nothing to read; the message says which of the many reasons it was.
    """
    what = described(source)
    if isinstance(source, str | os.PathLike):
        with _opened_path(os.fsdecode(source), what) as file:
            # A pipe (`/dev/stdin`, a shell's `<(...)`) cannot be wound back to the start.
            yield file if file.seekable() else io.BytesIO(file.read()), what
    elif isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), what
    elif hasattr(source, "read"):
        yield io.BytesIO(_read_all(source, what)), what
    else:
        raise ImageError(
            "expected a path, bytes, a file opened in binary mode or a NumPy array, "
            f"got {type(source).__module__}.{type(source).__qualname__}"
        )


def described(source: Any) -> str:
    """How a message names the source: the quoted path where there is one."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the given data"
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if not isinstance(name, str | os.PathLike):
        return "the given file object"
    text = repr(os.fspath(name))  # quoted, and safe to print whatever bytes the name holds
    if len(text) > _LONGEST_NAME:
        half = _LONGEST_NAME // 2
        text = f"{text[:half]}...{text[-half:]}"
    return text


def _opened_path(path: str, what: str) -> BinaryIO:
    if _URL.match(path):
        raise ImageError(f"{what} is a URL, and nothing is fetched from the network: download it first")
    try:
        return open(path, "rb")  # noqa: PTH123 -- closed by the caller
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"there is no file {what}") from error
    except OSError as error:
        if os.path.isdir(path):  # noqa: PTH112 -- Windows says "permission denied" of a directory
            raise ImageError(f"{what} is a directory, not an image: name a file in it") from error
        if isinstance(error, PermissionError):
            raise ImageError(f"no permission to read {what}") from error
        raise ImageError(f"{what} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null byte, or a character that no file name can hold
        raise ImageError(f"{what} is no path: {error}") from error


def _read_all(file: Any, what: str) -> bytes:
    try:
        data = file.read()
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise ImageError(f"{what} cannot be read: {error}") from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ImageError(f"{what} gives {type(data).__name__}, not bytes: open it in binary mode, 'rb'")
    if not data:
        raise ImageError(
            f"{what} gives no bytes: it is empty, or stands at its end (call seek(0) after writing)"
        )
    return bytes(data)
