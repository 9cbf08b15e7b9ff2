"""Lists of image pairs in the format of LFW's view 2, `pairs.txt`; fields are separated by tabs.

    10      300                                 folds, and pairs of each kind in a fold
    Abel_Pacheco    1       4                   genuine: person, number, number       (300 lines)
    Abdul_Majeed    1       Ada_Lowry       2   impostor: person, number, person, number   (300 lines)
    ...                                         the second fold, and so on

`Abel_Pacheco 4` is the file `Abel_Pacheco/Abel_Pacheco_0004.jpg` below the folder of images. The list is
the protocol: it is read as published, in its order, and a line that does not fit is an error rather than
one pair less.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError

MAX_NAMED = 5  # of many missing files this many are named


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """Pairs of images, in the published order.

    Attributes:
        images: (M,) relative paths with forward slashes, each image once, in order of first appearance.
        left: (N,) the first image of each pair, as a position in `images`.
        right: (N,) the second image of each pair.
        is_genuine: (N,) bool: both images show one person.
        fold: (N,) the fold of each pair, 0 .. K - 1.
    """

    images: tuple[str, ...]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    is_genuine: NDArray[np.bool_]
    fold: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.left)

    def find_images(self, folder: Path) -> list[Path]:
        """The files of `images` below `folder`, in that order.

        Raises:
            InputError: an image is missing: all are looked for before any work begins.
        """
        paths = [folder / image for image in self.images]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
            raise InputError(
                f"{len(missing):,} of the {len(paths):,} images of the pairs are missing: "
                f"{', '.join(missing[:MAX_NAMED])}{more}. The protocol allows no pair to be dropped; "
                "is this the folder that holds one sub-folder per person?"
            )
        return paths


def read_pairs(path: Path) -> Pairs:
    """The pairs of a `pairs.txt`.

    Raises:
        InputError: no such file, or a line that does not fit the format, named by its number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the pairs list {path}: {error}") from error
    numbered = _numbered(lines)
    folds, per_kind = _header(path, next(numbered, (1, "")))
    named: list[tuple[str, str]] = []
    for _ in range(folds):
        for is_genuine in (True, False):
            following = (next(numbered, (len(lines) + 1, "")) for _ in range(per_kind))
            named.extend(_pair(path, line, is_genuine=is_genuine) for line in following)
    for number, line in numbered:
        raise _misfit(path, number, line, f"the end: the header announces {len(named):,} pairs")
    return make_pairs(
        named,
        is_genuine=np.tile(np.repeat([True, False], per_kind), folds),
        fold=np.repeat(np.arange(folds, dtype=np.intp), 2 * per_kind),
    )


def make_pairs(
    named: Sequence[tuple[str, str]], *, is_genuine: NDArray[np.bool_], fold: NDArray[np.intp]
) -> Pairs:
    """Pairs of image names, each (N,): an image that is named twice is listed once."""
    position: dict[str, int] = {}
    indices = [[position.setdefault(image, len(position)) for image in pair] for pair in named]
    left, right = np.array(indices, dtype=np.intp).reshape(-1, 2).T
    return Pairs(images=tuple(position), left=left, right=right, is_genuine=is_genuine, fold=fold)


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _header(path: Path, numbered: tuple[int, str]) -> tuple[int, int]:
    fields = numbered[1].split("\t")
    if len(fields) != 2 or not all(field.strip().isdecimal() and int(field) > 0 for field in fields):
        raise _misfit(path, *numbered, "'FOLDS<tab>PAIRS', as in LFW's view 2 (view 1 has no folds)")
    return int(fields[0]), int(fields[1])


def _pair(path: Path, numbered: tuple[int, str], *, is_genuine: bool) -> tuple[str, str]:
    fields = [field.strip() for field in numbered[1].split("\t")]
    if is_genuine and len(fields) == 3 and _are_numbers(fields[1:]):
        return _image(fields[0], fields[1]), _image(fields[0], fields[2])
    if not is_genuine and len(fields) == 4 and _are_numbers(fields[1::2]) and fields[0] != fields[2]:
        return _image(fields[0], fields[1]), _image(fields[2], fields[3])
    wanted = (
        "a genuine pair: NAME, NUMBER, NUMBER"
        if is_genuine
        else "an impostor pair of two people: NAME, NUMBER, "
    )
    raise _misfit(path, *numbered, wanted if is_genuine else wanted + "NAME, NUMBER")


def _are_numbers(fields: Sequence[str]) -> bool:
    return all(field.isdecimal() for field in fields)


def _image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"


def _misfit(path: Path, number: int, line: str, wanted: str) -> InputError:
    got = repr(line) if line else "the end of the file"
    return InputError(f"{path}, line {number}: expected {wanted}; got {got}")
