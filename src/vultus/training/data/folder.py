"""Face crops in files: a folder for each person, or a list that names files and people.

Three kinds of list are recognised, each from its first line:

    path/to/1.jpg 17                 a file and a person, in any words; or a file alone, of nobody known
    12<tab>17<tab>path/to/1.jpg      MXNet's `.lst`: a key, one or more labels, a file
    1<tab>path/to/1.jpg<tab>17       InsightFace's `.lst`: whether it is aligned, a file, a person, landmarks
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from vultus.errors import InputError
from vultus.evaluate.lists import read_lines
from vultus.evaluate.people import find_people
from vultus.image import load_image, replace_file
from vultus.training.data.identities import IdentitySet, digest, numbered, stamp
from vultus.types import Image

Row: TypeAlias = tuple[str, str]  # file, label


class FileFaces:
    """Crops that are files.

    Args:
        paths: (N,) the files.
        labels: (N,) who each one shows; empty where nobody knows.

    Attributes:
        paths: as given.
        identity_index: (N,) whose face each crop shows.
        names: (C,) the people.

    Raises:
        InputError: no files, or not one label for each.
    """

    def __init__(self, paths: Sequence[Path], labels: Sequence[str]) -> None:
        if not paths or len(paths) != len(labels):
            raise InputError(
                f"expected at least one file and a label for each, got {len(paths)}, {len(labels)}"
            )
        self.paths = tuple(paths)
        self.identity_index, self.names = numbered(labels)

    @cached_property
    def fingerprint(self) -> str:
        """Of every file's name, size and time."""
        return digest(f"{path.parent} {stamp(path)}" for path in self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB."""
        return load_image(self.paths[index])


def read_folder(folder: Path) -> FileFaces:
    """The crops of a folder with one sub-folder per person.

    Raises:
        InputError: no such folder, or fewer than two people.
    """
    found = find_people(folder)
    return FileFaces(found.paths, [found.people[index] for index in found.identity_index])


def read_image_list(path: Path, *, images: Path | None = None) -> FileFaces:
    """The crops that a list names, in its order.

    Args:
        path: the list.
        images: the folder that its paths are relative to; by default the one that the list is in.

    Raises:
        InputError: no such list, an empty one, or a line of another kind than the first.
    """
    stated = read_lines(path)
    if not stated:
        raise InputError(f"the list {path} is empty")
    read_row, kind = _reader(stated[0][1])
    rows: list[Row] = []
    for number, line in stated:
        try:
            rows.append(read_row(line))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: expected {kind}, got {line!r}") from error
    folder = path.parent if images is None else images
    return FileFaces([folder / file for file, _ in rows], [label for _, label in rows])


def write_image_list(path: Path, faces: IdentitySet, files: Sequence[str]) -> None:
    """Write MXNet's `.lst`, with keys from 1; people are written as numbers.

    Args:
        path: the list, replaced if it is there.
        faces: who is who; their crops are not read.
        files: (N,) the file of each crop, relative to wherever the images are to lie.

    Raises:
        InputError: not one file for each crop, or a place that cannot be written.
    """
    if len(files) != len(faces):
        raise InputError(f"expected {len(faces)} files, got {len(files)}")
    rows = zip(faces.identity_index.tolist(), files, strict=True)
    text = "".join(f"{key}\t{label}\t{file}\n" for key, (label, file) in enumerate(rows, start=1))
    with replace_file(path) as stream:
        stream.write(text.encode())


def _reader(line: str) -> tuple[Callable[[str], Row], str]:
    fields = line.split("\t")
    if len(fields) >= 3 and _is_number(fields[0]):
        if _is_number(fields[1]):
            return _mxnet_row, "'KEY<tab>LABEL<tab>FILE', as in the first line"
        return _insightface_row, "'ALIGNED<tab>FILE<tab>LABEL', as in the first line"
    return _plain_row, "'FILE LABEL'"


def _mxnet_row(line: str) -> Row:
    _, label, *_, file = line.split("\t")
    return file, _person(label)


def _insightface_row(line: str) -> Row:
    _, file, label, *_ = line.split("\t")
    return file, _person(label)


def _plain_row(line: str) -> Row:
    file, _, label = line.replace("\t", " ").rpartition(" ")
    return (file.strip(), label) if file else (label, "")


def _person(label: str) -> str:
    """MXNet writes labels as floats, and -1 for none."""
    number = float(label)
    return "" if number < 0 else f"{number:.0f}"


def _is_number(field: str) -> bool:
    return field.strip().removeprefix("-").replace(".", "", 1).isdecimal()
