"""Raw photos and whom they show, before any face is cut out: a folder for each person, one folder, or a list.

A photo's *name* is its path below the folder, with `/` on every system: it is how reports, manifests and the
folders of crops speak of it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from vultus.errors import InputError
from vultus.training.data.folder import read_image_list

_COMMON: Final = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SUFFIXES: Final = frozenset({*_COMMON, ".avif", ".heic", ".jp2", ".mpo", ".pbm", ".pgm", ".ppm"})


class Photo(NamedTuple):
    """One raw photo.

    Attributes:
        name: below the source, such as `Eileen/moon.jpg`.
        path: the file.
        person: whom it shows; empty where nobody knows.
        stem: what its crop is called, without a suffix: `Eileen/moon`.
    """

    name: str
    path: Path
    person: str
    stem: str


def find_photos(source: Path) -> tuple[Photo, ...]:
    """The photos of a folder, with all below it, or of a list; in an order of their own, each once.

    The folder right below the source is the person; photos that lie in the source itself are of nobody known.
    Hidden files and folders, and files whose suffix is no image's, are passed over. Lists are those that
    `folder.read_image_list` reads; the crop of a listed photo lies in a folder called after its person.

    Raises:
        InputError: no such folder or list, none in it, or a person whose name is no name of a folder.
    """
    if source.is_dir():
        found = [(name, path, _first_folder(name), name) for name, path in _files(source)]
    else:
        found = [
            (path.relative_to(source.parent).as_posix(), path, person, _place(person, path))
            for path, person in _listed(source)
        ]
    if not found:
        raise InputError(f"{source} holds no photo: no file below it has the suffix of an image")
    found.sort()
    stems = _stems([place for _, _, _, place in found])
    return tuple(
        Photo(name, path, person, stem) for (name, path, person, _), stem in zip(found, stems, strict=True)
    )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in inside.parts)
        if path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file():
            yield inside.as_posix(), path


def _listed(source: Path) -> Iterator[tuple[Path, str]]:
    faces = read_image_list(source)
    for path, number in dict(zip(faces.paths, faces.identity_index.tolist(), strict=True)).items():
        if not path.is_relative_to(source.parent) or ".." in path.parts:
            raise InputError(f"{source} names {path}, which is not below the folder that the list is in")
        yield path, faces.names[number] if number >= 0 else ""


def _first_folder(name: str) -> str:
    folder, has_folder, _ = name.partition("/")
    return folder if has_folder else ""


def _place(person: str, path: Path) -> str:
    """Where the crop of a listed photo shall lie."""
    if person in {".", ".."} or any(sign in person for sign in "/\\\0"):
        raise InputError(f"a list calls somebody {person!r}, which is no name of a folder")
    return f"{person}/{path.name}" if person else path.name


def _stems(places: Sequence[str]) -> list[str]:
    """Each place without its suffix; where another photo took that already, something else that is free.

    Upper and lower case are one, as they are for file systems that do not tell them apart.
    """
    taken: set[str] = set()
    stems = []
    for place in places:
        bare = PurePosixPath(place).with_suffix("").as_posix()
        stem, count = bare, 1
        while stem.casefold() in taken:
            stem, count = (place if count == 1 else f"{place}-{count}"), count + 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
