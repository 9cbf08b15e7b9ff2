"""Labelled faces in MXNet records, as InsightFace ships MS1MV2, MS1MV3 and Glint360K: `train.rec` and `.idx`.

    key 0                  labels (n + 1, n + 1 + C): the keys of the people
    key 1 .. n             an image; its label is whose face it is
    key n + 1 .. n + C     labels (a, b): the images a .. b - 1 are of one person

Records without that table, as MXNet's `im2rec` writes them, are images all; then every one is read for its
label.

https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_
"""

from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.training.data.identities import (
    UNLABELLED,
    IdentitySet,
    decoded,
    digest,
    stamp,
)
from vultus.training.data.record import ImageRecord, RecordFile, RecordWriter
from vultus.types import Image

_NO_IMAGE: Final = np.int64(-2)
_KeysAndLabels: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]


class RecordFaces:
    """Crops in MXNet records.

    Args:
        records: the open file.

    Attributes:
        keys: (N,) int64, the key of each crop, ascending.
        identity_index: (N,) whose face each crop shows.
        names: (C,) the people: their labels, as whole numbers.

    Raises:
        InputError: a damaged record, or a table that does not fit the images.
    """

    def __init__(self, records: RecordFile) -> None:
        self._records = records
        keys, labels = _labels_by_table(records) if _has_table(records) else _labels_one_by_one(records)
        if not len(keys):
            raise InputError(f"{records.path} has no record of an image")
        people = np.unique(labels[labels >= 0])
        self.keys = keys
        self.identity_index = np.where(labels >= 0, np.searchsorted(people, labels), UNLABELLED)
        self.names = tuple(map(str, people.tolist()))

    @property
    def fingerprint(self) -> str:
        """Of the file's name, size and time, and the keys."""
        return digest([stamp(self._records.path)], self.keys.tobytes())

    def __len__(self) -> int:
        return len(self.keys)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB.

        Raises:
            InputError: the record is damaged.
            ImageError: it is no image.
        """
        key = int(self.keys[index])
        return decoded(self._records.read(key).image, what=f"record {key} of {self._records.path}")


def read_records(path: Path, *, index: Path | None = None) -> RecordFaces:
    """The crops in a `.rec`.

    Args:
        path: the `.rec`.
        index: the `.idx`; by default the file of the same name beside it. Without any, all records are read
            through.

    Raises:
        InputError: no such file, a damaged one, or an index that belongs to another.
    """
    beside = path.with_suffix(".idx")
    found = index or (beside if beside.is_file() else None)
    return RecordFaces(RecordFile(path, index=found))


def write_records(path: Path, faces: IdentitySet, *, jpeg_quality: int = 95) -> None:
    """Write a `.rec` and its `.idx` in InsightFace's layout, person after person.

    Args:
        path: the `.rec`.
        faces: their people's numbers become the labels.
        jpeg_quality: 0 to 100; a JPEG is never the very crop again.

    Raises:
        InputError: a crop of nobody known, for which the layout has no place.
    """
    if (faces.identity_index < 0).any():
        raise InputError(
            f"{int((faces.identity_index < 0).sum()):,} of {len(faces):,} crops are of nobody known; these "
            "records have no place for them: leave them out with `labelled(faces)`"
        )
    order = np.argsort(faces.identity_index, kind="stable")
    starts = np.searchsorted(faces.identity_index[order], np.arange(len(faces.names) + 1)) + 1
    first_person = len(faces) + 1
    with RecordWriter(path) as writer:
        for key, row in enumerate(order.tolist(), start=1):
            image = _jpeg(faces.crop(row), quality=jpeg_quality)
            writer.write(ImageRecord(key, (float(faces.identity_index[row]),), image))
        writer.write(_range(0, first_person, first_person + len(faces.names)))
        for person in range(len(faces.names)):
            writer.write(_range(first_person + person, starts[person], starts[person + 1]))


def _range(key: int, start: int, end: int) -> ImageRecord:
    return ImageRecord(key, (float(start), float(end)), b"", has_label_list=True)


def _jpeg(crop: Image, *, quality: int) -> bytes:
    _, data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _has_table(records: RecordFile) -> bool:
    if records.keys[0] != 0:
        return False
    first = records.read(0)
    return len(first.labels) == 2 and not first.image


def _labels_by_table(records: RecordFile) -> _KeysAndLabels:
    """The images of all people, and whose face they are, from the first and last image of each person."""
    people = _slice(records, 0)
    labels = np.full(len(records.keys), _NO_IMAGE)
    for person in records.keys[people].tolist():
        images = _slice(records, person)
        if images.start == images.stop:
            continue
        first, last = (_label(records.read(int(key))) for key in records.keys[images][[0, -1]])
        if first != last or (labels[images] != _NO_IMAGE).any():
            raise InputError(
                f"{records.path}: record {person} names the images of one person, to be nobody else's; the "
                f"first is labelled {first}, the last {last}"
            )
        labels[images] = first
    is_image = labels != _NO_IMAGE
    return records.keys[is_image], labels[is_image]


def _slice(records: RecordFile, key: int) -> slice:
    """Where in `records.keys` those records are that this one, with two labels and no image, stands for."""
    record = records.read(key)
    start, end = (int(label) for label in record.labels) if len(record.labels) == 2 else (0, -1)
    found = slice(*np.searchsorted(records.keys, (start, end)).tolist())
    if record.image or end < start or found.stop - found.start != end - start:
        raise InputError(
            f"{records.path}: expected record {key} to name a range of records that are there, got labels "
            f"{record.labels}"
        )
    return found


def _labels_one_by_one(records: RecordFile) -> _KeysAndLabels:
    labels = np.full(len(records.keys), _NO_IMAGE)
    for position, key in enumerate(records.keys.tolist()):
        record = records.read(key)
        if record.image:
            labels[position] = _label(record)
    is_image = labels != _NO_IMAGE
    return records.keys[is_image], labels[is_image]


def _label(record: ImageRecord) -> int:
    """Whose face it is; anything below 0 is nobody known."""
    return max(int(record.labels[0]), UNLABELLED)
