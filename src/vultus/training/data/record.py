"""MXNet's RecordIO: many small files in one, `train.rec`, with an index beside it, `train.idx`.

A record is one part, or several where its bytes contain the magic number (all numbers little-endian):

    magic   uint32  0xced7230a
    length  uint32  low 29 bits: bytes of this part; high 3 bits: 0 the whole record, or 1 its first, 2 a
                    middle, 3 its last part
    data    and zeros up to the next multiple of 4 bytes

Parts are cut where the magic number stands at a multiple of 4 bytes within the data; it is left out there, so
whatever looks like the start of a record at a multiple of 4 is one, and a reader can join in anywhere.

The data of an image record begins with a header:

    flag    uint32  how many labels follow the header; 0: the label is in it
    label   float32
    id      2 x uint64: the key, and 0
    labels  flag x float32

and the image file follows. A line of the index is `key<tab>byte`. Where there is no index the records are
walked through, and `id` is the key.

https://github.com/dmlc/dmlc-core/blob/main/include/dmlc/recordio.h
https://mxnet.apache.org/api/architecture/note_data_loading
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.lists import read_table
from vultus.image import replace_file

MAGIC: Final = struct.pack("<I", 0xCED7230A)
_MAX_LABEL: Final = 2**53  # beyond, float64 does not count
MAX_IMAGE_BYTES: Final = 500 << 20  # the length of a part has 29 bits
_LENGTH_BITS: Final = 29
_HEAD: Final = struct.Struct("<4sI")  # magic, kind and length
_HEADER: Final = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


_KeysAndPlaces: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]


class ImageRecord(NamedTuple):
    """What a record of an image holds.

    Attributes:
        key: its number in the index.
        labels: one or more; the first is whose face it is.
        image: the bytes of the image file; empty in records that only describe others.
        has_label_list: the labels stand behind the header, though it may be one.
    """

    key: int
    labels: tuple[float, ...]
    image: bytes
    has_label_list: bool = False


def pack(record: ImageRecord) -> bytes:
    """The data of a record.

    Raises:
        InputError: a whole number that float32 does not hold: it counts to 16,777,216.
    """
    if any(label % 1 == 0 and float(np.float32(label)) != label for label in record.labels):
        raise InputError(f"record {record.key}: float32 does not hold the labels {record.labels} exactly")
    if not record.has_label_list:
        return _HEADER.pack(0, record.labels[0], record.key, 0) + record.image
    count = len(record.labels)
    labels = struct.pack(f"<{count}f", *record.labels)
    return _HEADER.pack(count, 0.0, record.key, 0) + labels + record.image


def unpack(data: bytes) -> ImageRecord:
    """A record of an image, from its data.

    Labels of a record without an image may be float64, which some packers use since float32 counts to 2^24.

    Raises:
        InputError: shorter than its header says, or with a label that is no number.
    """
    if len(data) < _HEADER.size:
        raise InputError(f"expected a header of {_HEADER.size} bytes, got {len(data)} bytes")
    count, label, key, _ = _HEADER.unpack_from(data)
    if count == 0:
        return ImageRecord(key, _checked((label,)), data[_HEADER.size :])
    kind = "d" if len(data) == _HEADER.size + 8 * count else "f"
    labels = struct.Struct(f"<{count}{kind}") if count <= len(data) else None
    if labels is None or len(data) < _HEADER.size + labels.size:
        raise InputError(f"expected {count} labels, got {len(data) - _HEADER.size} bytes")
    image = data[_HEADER.size + labels.size :]
    return ImageRecord(key, _checked(labels.unpack_from(data, _HEADER.size)), image, has_label_list=True)


def _checked(labels: tuple[float, ...]) -> tuple[float, ...]:
    if not all(abs(label) <= _MAX_LABEL for label in labels):  # false for NaN too
        raise InputError(f"expected labels of at most {_MAX_LABEL:,}, got {labels[:4]}")
    return labels


class _Part(NamedTuple):
    """The bytes of a file that a part of a record lies in, without its head."""

    start: int
    end: int

    @property
    def next(self) -> int:
        """Where the next part begins."""
        return self.end + -(self.end - self.start) % 4


class RecordFile:
    """The records of one file, by their keys.

    Args:
        path: the `.rec`.
        index: the `.idx`; None reads through all records.

    Attributes:
        path: as given.
        keys: (N,) int64, ascending.

    Raises:
        InputError: no such file, an index that does not fit it, or damaged records.
    """

    def __init__(self, path: Path, *, index: Path | None) -> None:
        self.path = path
        self._bytes()  # says now that the file is missing
        keys, places = self._walk() if index is None else _read_index(index)
        order = np.argsort(keys, kind="stable")
        self.keys, self._places = keys[order], places[order]
        twice = np.flatnonzero(self.keys[1:] == self.keys[:-1])
        if twice.size:
            raise InputError(
                f"{index or path} has several records of key {self.keys[twice[0]]}; expected one for each key"
                + ("" if index else ": such a file cannot be read without its .idx")
            )

    def read(self, key: int) -> ImageRecord:
        """The record of that key.

        Raises:
            InputError: no such key, or a damaged record; the message tells the byte.
        """
        position = int(np.searchsorted(self.keys, key))
        if position == len(self.keys) or self.keys[position] != key:
            raise InputError(f"{self.path} has no record {key}")
        place = int(self._places[position])
        return self._unpacked(self._parts(place), place)

    def _unpacked(self, parts: Sequence["_Part"], place: int) -> ImageRecord:
        content = self._bytes()
        try:
            return unpack(MAGIC.join(content[part.start : part.end] for part in parts))
        except InputError as error:
            raise InputError(f"{self.path}, record at byte {place:,}: {error}") from None

    def _parts(self, place: int) -> list["_Part"]:
        """Where the data of the record at `place` is."""
        content = self._bytes()
        parts: list[_Part] = []
        while True:
            if place % 4 or not 0 <= place <= len(content) - _HEAD.size:
                raise self._damaged(place, f"the head of a record, got the end of {len(content):,} bytes")
            magic, packed = _HEAD.unpack_from(content, place)
            kind, length = packed >> _LENGTH_BITS, packed & ((1 << _LENGTH_BITS) - 1)
            if magic != MAGIC:
                raise self._damaged(place, f"the magic number {MAGIC.hex()}, got {magic.hex()}")
            if kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
                raise self._damaged(place, f"the {'next' if parts else 'first'} part, got kind {kind}")
            part = _Part(place + _HEAD.size, place + _HEAD.size + length)
            if part.next > len(content):
                raise self._damaged(place, f"{length:,} bytes, got {len(content) - part.start:,}")
            parts.append(part)
            if kind in (_WHOLE, _LAST):
                return parts
            place = part.next

    def _walk(self) -> _KeysAndPlaces:
        """The key and the first byte of every record."""
        found: list[tuple[int, int]] = []
        place = 0
        while place < len(self._bytes()):
            parts = self._parts(place)
            found.append((self._unpacked(parts, place).key, place))
            place = parts[-1].next
        keys, places = np.array(found, dtype=np.int64).T
        return keys, places

    def _bytes(self) -> mmap.mmap:
        return _mapped(self.path)

    def _damaged(self, place: int, expected: str) -> InputError:
        return InputError(
            f"{self.path}, byte {place:,}: expected {expected}; the file is damaged, truncated, or another "
            "than the index belongs to"
        )


class RecordWriter:
    """Writes a `.rec` and its `.idx`, both at the end of the `with` block, or neither.

    Args:
        path: the `.rec`; the index has the same name with `.idx`.

    Raises:
        InputError: a place that cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = ExitStack()

    def __enter__(self) -> Self:
        self._index: BinaryIO = self._files.enter_context(replace_file(self._path.with_suffix(".idx")))
        self._records: BinaryIO = self._files.enter_context(replace_file(self._path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)

    def write(self, record: ImageRecord) -> None:
        """Append a record.

        Raises:
            InputError: an image of more than 500 MiB.
        """
        if len(record.image) > MAX_IMAGE_BYTES:
            raise InputError(f"an image takes at most {MAX_IMAGE_BYTES:,} bytes, got {len(record.image):,}")
        self._index.write(f"{record.key}\t{self._records.tell()}\n".encode())
        parts = list(_split(pack(record)))
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            kind = (_WHOLE if is_last else _FIRST) if number == 0 else (_LAST if is_last else _MIDDLE)
            self._records.write(
                _HEAD.pack(MAGIC, kind << _LENGTH_BITS | len(part)) + part + bytes(-len(part) % 4)
            )


def _split(data: bytes) -> Iterator[bytes]:
    """The data between magic numbers that stand at a multiple of 4 bytes."""
    start = position = 0
    while (position := data.find(MAGIC, position)) >= 0:
        if position % 4:
            position += 1
            continue
        yield data[start:position]
        start = position = position + len(MAGIC)
    yield data[start:]


def _read_index(path: Path) -> _KeysAndPlaces:
    keys, places = read_table(path, columns=2, dtype=np.int64).T
    return keys, places


def _mapped(path: Path) -> mmap.mmap:
    """The bytes of a file, mapped once in each process until it changes."""
    try:
        status = path.stat()
        return _map(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InputError(f"cannot read the records {path}: {error.strerror}") from error


@lru_cache(maxsize=16)
def _map(path: Path, size: int, _time_ns: int) -> mmap.mmap:
    if size == 0:
        raise InputError(f"the records {path} are empty: 0 bytes")
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
