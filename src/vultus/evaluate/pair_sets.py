"""Where the verification sets keep their lists and their images, once unpacked.

| set | list | images, the first of these that is there |
|---|---|---|
| lfw | `pairs.txt` | `lfw-deepfunneled`, `lfw_funneled`, `lfw`, `images`, or the folder itself |
| cfp-ff, cfp-fp | `Protocol/` | the folder itself |
| agedb-30 | `agedb_30_pair.txt` | `agedb30_align_112`, `images`, or the folder itself |
| calfw | `pairs_CALFW.txt` | `aligned images`, `images&landmarks/images`, `images`, or the folder itself |
| cplfw | `pairs_CPLFW.txt` | `aligned images`, `images`, or the folder itself |

A figure belongs to the images it was measured on: say which of them with it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from vultus.errors import InputError
from vultus.evaluate.cfp import CfpProtocol, read_cfp
from vultus.evaluate.pair_lists import read_one_line_pairs, read_two_line_pairs
from vultus.evaluate.pairs import Pairs, read_pairs


class PairSet(NamedTuple):
    """A verification set on disk.

    Attributes:
        pairs: which images are compared, in which folds.
        images: the folder that the names of the images are relative to.
    """

    pairs: Pairs
    images: Path

    def paths(self) -> list[Path]:
        """The files of `pairs.images`, in that order.

        Raises:
            InputError: an image is missing.
        """
        return self.pairs.find_images(self.images)


class _Layout(NamedTuple):
    read: Callable[[Path], Pairs]
    file: str
    images: tuple[str, ...]


_ALIGNED: Final = ("aligned images", "images&landmarks/images", "images")
_LAYOUTS: Final[Mapping[str, _Layout]] = {
    "lfw": _Layout(read_pairs, "pairs.txt", ("lfw-deepfunneled", "lfw_funneled", "lfw", "images")),
    "agedb-30": _Layout(read_one_line_pairs, "agedb_30_pair.txt", ("agedb30_align_112", "images")),
    "calfw": _Layout(read_two_line_pairs, "pairs_CALFW.txt", _ALIGNED),
    "cplfw": _Layout(read_two_line_pairs, "pairs_CPLFW.txt", _ALIGNED),
}


def _read_listed(folder: Path, *, name: str) -> PairSet:
    layout = _LAYOUTS[name]
    pairs = layout.read(folder / layout.file)
    there = (folder / images for images in layout.images if (folder / images).is_dir())
    return PairSet(pairs, next(there, folder))


def _read_cfp(folder: Path, *, protocol: CfpProtocol) -> PairSet:
    return PairSet(read_cfp(folder, protocol=protocol), folder)


PAIR_SETS: Final[Mapping[str, Callable[[Path], PairSet]]] = {
    "lfw": partial(_read_listed, name="lfw"),
    "cfp-ff": partial(_read_cfp, protocol="FF"),
    "cfp-fp": partial(_read_cfp, protocol="FP"),
    "agedb-30": partial(_read_listed, name="agedb-30"),
    "calfw": partial(_read_listed, name="calfw"),
    "cplfw": partial(_read_listed, name="cplfw"),
}


def read_pair_set(name: str, folder: Path) -> PairSet:
    """The pairs and the images of a verification set.

    Args:
        name: one of `PAIR_SETS`.
        folder: where it was unpacked.

    Raises:
        InputError: no such set, no such folder, or a list that is missing or does not fit.
    """
    if name not in PAIR_SETS:
        raise InputError(f"expected a set out of {', '.join(PAIR_SETS)}; got {name!r}")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the one into which {name} was unpacked")
    return PAIR_SETS[name](folder)
