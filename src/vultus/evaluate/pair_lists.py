"""Lists of image pairs in the formats of AgeDB-30, CALFW and CPLFW; LFW's own is in `pairs`, CFP's in `cfp`.

**One line a pair** (`agedb_30_pair.txt`, also `cfp_fp_pair.txt`): `LEFT RIGHT 1`, or 0 for two people. The
folds are runs of equal length.

**Two lines a pair** (`pairs_CALFW.txt`, `pairs_CPLFW.txt`): `IMAGE NUMBER` twice. 0 is two people; of one
person the number is the fold in CALFW, from 1, and always 1 in CPLFW. Genuine pairs stand before or between
the impostor ones: the folds are runs of equal length of each kind, which in CALFW are those that it numbers.

As everywhere, the list is the protocol: a line that does not fit is an error, not one pair less.

Moschoglou et al.: AgeDB. CVPR Workshops 2017. https://doi.org/10.1109/CVPRW.2017.250
Zheng, Deng, Hu: Cross-Age LFW. 2017. https://arxiv.org/abs/1708.08197
Zheng, Deng: Cross-Pose LFW. Beijing University of Posts and Telecommunications, Technical Report 18-01, 2018.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.lists import read_lines
from vultus.evaluate.pairs import Pairs, make_pairs

FOLDS: Final = 10


def read_one_line_pairs(path: Path, *, folds: int = FOLDS) -> Pairs:
    """The pairs of a list of lines `LEFT RIGHT 0|1`, in folds of equal length.

    Raises:
        InputError: no such file, a line that does not fit, or a fold without pairs of both kinds.
    """
    named: list[tuple[str, str]] = []
    labels: list[int] = []
    for number, line in read_lines(path):
        fields = line.split()
        if len(fields) != 3 or fields[2] not in {"0", "1"}:
            raise InputError(f"{path}, line {number}: expected 'LEFT RIGHT 0|1', got {line!r}")
        named.append((fields[0], fields[1]))
        labels.append(int(fields[2]))
    fold = _runs(len(named), folds)
    return _checked(path, named, np.array(labels, dtype=np.bool_), fold, folds=folds)


def read_two_line_pairs(path: Path, *, folds: int = FOLDS) -> Pairs:
    """The pairs of a list with a line `IMAGE NUMBER` for each image, in folds of equal length of each kind.

    Raises:
        InputError: no such file, a line that does not fit, or a fold without pairs of both kinds.
    """
    lines = read_lines(path)
    rows = [_image_and_number(path, number, line) for number, line in lines]
    if len(rows) % 2:
        raise InputError(f"{path} has {len(rows)} lines: expected two for each pair")
    for (number, _), left, right in zip(lines[::2], rows[::2], rows[1::2], strict=True):
        if left[1] != right[1]:
            raise InputError(
                f"{path}, lines {number} and after: expected one number for both images of a pair, "
                f"got {left[1]} and {right[1]}"
            )
    is_genuine = np.array([number > 0 for _, number in rows[::2]], dtype=np.bool_)
    fold = np.zeros(len(is_genuine), dtype=np.intp)
    for kind in (is_genuine, ~is_genuine):
        fold[kind] = _runs(int(kind.sum()), folds)
    named = [(left[0], right[0]) for left, right in zip(rows[::2], rows[1::2], strict=True)]
    return _checked(path, named, is_genuine, fold, folds=folds)


def _image_and_number(path: Path, number: int, line: str) -> tuple[str, int]:
    fields = line.split()
    if len(fields) != 2 or not fields[1].isdecimal():
        raise InputError(f"{path}, line {number}: expected 'IMAGE NUMBER', got {line!r}")
    return fields[0], int(fields[1])


def _runs(count: int, folds: int) -> NDArray[np.intp]:
    return np.arange(count, dtype=np.intp) * folds // max(count, 1)


def _checked(
    path: Path,
    named: Sequence[tuple[str, str]],
    is_genuine: NDArray[np.bool_],
    fold: NDArray[np.intp],
    *,
    folds: int,
) -> Pairs:
    for index in range(folds):
        kinds = is_genuine[fold == index]
        if not (kinds.any() and not kinds.all()):
            raise InputError(
                f"{path}: fold {index + 1} of {folds} has {len(kinds)} pairs, {int(kinds.sum())} of them of "
                "one person; expected both kinds in every fold: is this the published list, in its order?"
            )
    return make_pairs(named, is_genuine=is_genuine, fold=fold)
