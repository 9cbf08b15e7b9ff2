"""Celebrities in Frontal-Profile: which pairs are compared in its two protocols.

    Data/Images/001/frontal/01.jpg ... 10.jpg     500 people, ten frontal and four profile images each
    Data/Images/001/profile/01.jpg ... 04.jpg
    Protocol/Pair_list_F.txt                      `1 ../Data/Images/001/frontal/01.jpg`, a line per image
    Protocol/Pair_list_P.txt                      the profile images, numbered from 1 again
    Protocol/Split/FF/01/same.txt, diff.txt       `12,34`: two numbers of the frontal list
    Protocol/Split/FP/01/same.txt, diff.txt       a number of the frontal, a number of the profile list

Ten folds of 350 genuine and 350 impostor pairs each.

Sengupta, Chen, Castillo, Patel, Chellappa, Jacobs: Frontal to profile face verification in the wild.
WACV 2016. http://www.cfpw.io
"""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from vultus.errors import InputError
from vultus.evaluate.lists import read_lines
from vultus.evaluate.pairs import Pairs, make_pairs

CfpProtocol = Literal["FF", "FP"]


def read_cfp(folder: Path, *, protocol: CfpProtocol) -> Pairs:
    """The pairs of one protocol; the images are named relative to `folder`.

    Args:
        folder: the unpacked `cfp-dataset`, which holds `Data` and `Protocol`.
        protocol: "FF" compares frontal images with each other, "FP" with profile images.

    Raises:
        InputError: a list that is missing, or a line that does not fit.
    """
    lists = folder / "Protocol"
    left = _read_images(lists / "Pair_list_F.txt")
    right = left if protocol == "FF" else _read_images(lists / "Pair_list_P.txt")
    splits = lists / "Split" / protocol
    folds = sorted(path for path in splits.glob("*") if path.is_dir())
    if len(folds) < 2:
        raise InputError(f"{splits} has {len(folds)} sub-folders; expected one for each fold, '01' to '10'")
    named: list[tuple[str, str]] = []
    is_genuine: list[bool] = []
    fold: list[int] = []
    for index, path in enumerate(folds):
        for file, is_same in (("same.txt", True), ("diff.txt", False)):
            pairs = list(_read_pairs(path / file, left, right))
            named += pairs
            is_genuine += [is_same] * len(pairs)
            fold += [index] * len(pairs)
    return make_pairs(
        named, is_genuine=np.array(is_genuine, dtype=np.bool_), fold=np.array(fold, dtype=np.intp)
    )


def _read_images(path: Path) -> Mapping[int, str]:
    """Number -> image, relative to the data set's folder."""
    images: dict[int, str] = {}
    for line_number, line in read_lines(path):
        number, _, name = line.partition(" ")
        image = posixpath.normpath(posixpath.join(path.parent.name, name.strip().replace("\\", "/")))
        if not number.isdecimal() or image.startswith(("..", "/")) or int(number) in images:
            raise InputError(
                f"{path}, line {line_number}: expected a new number and an image of the data set, as in "
                f"'1 ../Data/Images/001/frontal/01.jpg', got {line!r}"
            )
        images[int(number)] = image
    return images


def _read_pairs(path: Path, left: Mapping[int, str], right: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    for line_number, line in read_lines(path):
        numbers = [int(field) for field in line.split(",") if field.strip().isdecimal()]
        if len(numbers) != 2 or numbers[0] not in left or numbers[1] not in right:
            raise InputError(
                f"{path}, line {line_number}: expected two numbers of the lists of images, as in '12,34', "
                f"got {line!r}"
            )
        yield left[numbers[0]], right[numbers[1]]
