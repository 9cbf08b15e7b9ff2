"""Verification packs: `lfw.bin`, `cfp_fp.bin`, `agedb_30.bin` and their kin, as InsightFace publishes them.

A pack is one pickle of two lists:

    (images, is_same)      images: 2 N encoded images, aligned faces of 112 px; pair i is 2 i and 2 i + 1
                           is_same: N truth values

Some were written by Python 2, some hold NumPy arrays of bytes in place of bytes. They are read as data
(`pickle_data`): no instruction of the file is executed, and a pack that asks for a call that is not one of
NumPy's own for arrays of bytes and of truth values is refused by the name of what it asked for.

The pairs carry no folds. The field's convention is ten runs of equal length in the order of the file.

Deng, Guo, Xue, Zafeiriou: ArcFace. CVPR 2019. https://arxiv.org/abs/1801.07698
https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_
"""

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.pairs import Pairs, make_pairs
from vultus.evaluate.pickle_data import Asked, Name, read_pickle
from vultus.image import DEFAULT_MAX_PIXELS, replace_file
from vultus.image.decode import decode
from vultus.types import Image

FOLDS: Final = 10
_MULTIARRAY: Final = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2
_NUMERIC: Final = ("numpy.core.numeric", "numpy._core.numeric")


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """A verification pack.

    Attributes:
        path: the file.
        pairs: which images make which pair; `pairs.images` are numbers, since the file has no names.
        encoded: (M,) the bytes of each image of `pairs.images`: an image that is in several pairs, once.
    """

    path: Path
    pairs: Pairs
    encoded: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.encoded)

    def crop(self, index: int) -> Image:
        """The (H, W, 3) RGB face of image `index`.

        Raises:
            ImageError: its bytes are no image.
        """
        what = f"image {index} of {self.path}"
        return decode(BytesIO(self.encoded[index]), what=what, max_pixels=DEFAULT_MAX_PIXELS)


def read_pack(path: Path, *, folds: int = FOLDS) -> Pack:
    """The pairs and encoded images of a `.bin` file; nothing in it is executed.

    Args:
        path: the file.
        folds: into how many runs of equal length the pairs are cut, in the order of the file.

    Raises:
        InputError: no such file, no pack, fewer pairs than folds, or one that asks for more than data.
    """
    try:
        images, is_same = _two_lists(read_pickle(path.read_bytes()))
        encoded = [_bytes(image) for image in images]
        is_genuine = np.array(_truths(is_same), dtype=np.bool_)
    except OSError as error:
        raise InputError(f"cannot read the verification pack {path}: {error}") from error
    except InputError as error:
        raise InputError(f"{path} is no verification pack that can be read: {error}") from error
    if len(encoded) != 2 * len(is_genuine) or len(is_genuine) < folds:
        raise InputError(
            f"{path} has {len(encoded):,} images for {len(is_genuine):,} pairs: expected two for each, "
            f"and at least a pair for each of {folds} folds"
        )
    return _indexed(path, encoded, is_genuine, folds=folds)


def write_pack(path: Path, pairs: Iterable[tuple[bytes, bytes, bool]]) -> None:
    """Write a pack that InsightFace's and every other loader reads: bytes and truth values, nothing else.

    Args:
        path: the file, replaced if it is there.
        pairs: left and right encoded image of each pair, and whether they show one person.

    Raises:
        InputError: a place that cannot be written.
    """
    images: list[bytes] = []
    is_same: list[bool] = []
    for left, right, same in pairs:
        images += [left, right]
        is_same.append(bool(same))
    with replace_file(path) as stream:
        pickle.dump((images, is_same), stream, protocol=4)


def _indexed(path: Path, encoded: Sequence[bytes], is_genuine: NDArray[np.bool_], *, folds: int) -> Pack:
    number: dict[bytes, str] = {}
    names = [number.setdefault(image, str(len(number))) for image in encoded]
    count = len(is_genuine)
    pairs = make_pairs(
        list(zip(names[::2], names[1::2], strict=True)),
        is_genuine=is_genuine,
        fold=np.arange(count, dtype=np.intp) * folds // count,
    )
    return Pack(path, pairs, tuple(number))


def _two_lists(value: Any) -> tuple[Sequence[Any], Any]:
    if not isinstance(value, tuple | list) or len(value) != 2 or not isinstance(value[0], tuple | list):
        raise InputError("expected a pair of lists, images and truth values")
    return value[0], value[1]


def _bytes(value: Any) -> bytes:
    """An encoded image: bytes, or a NumPy array of bytes."""
    return _array(value, kind="u1") if _is_numpy(value) else _plain_bytes(value)


def _truths(value: Any) -> list[bool]:
    """A list of truth values, or a NumPy array of them."""
    if isinstance(value, tuple | list):
        return [_truth(one) for one in value]
    return [bool(one) for one in _array(value, kind="b1")]


def _truth(value: Any) -> bool:
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    match value:
        case Asked(function=Name(module, "scalar"), arguments=(dtype, data)) if module in _MULTIARRAY:
            return any(_checked(dtype, data, (), kind="b1"))
    raise InputError(f"expected True or False, got {_told(value)}")


def _plain_bytes(value: Any) -> bytes:
    """Bytes, or what Python 3 writes for them where Python 2 is to read it: text, to be encoded again."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    match value:
        case Asked(function=Name("_codecs", "encode"), arguments=(str() as text, "latin1")):
            if all(character <= "\xff" for character in text):
                return text.encode("latin-1")
    raise InputError(f"expected bytes, got {_told(value)}")


def _array(value: Any, *, kind: str) -> bytes:
    """The bytes of a NumPy array of one-byte numbers, in whichever of NumPy's two ways it was pickled."""
    match value:
        case Asked(function=Name(module, "_reconstruct"), state=(_, tuple() as shape, dtype, _, data)) if (
            module in _MULTIARRAY
        ):
            return _checked(dtype, data, shape, kind=kind)
        case Asked(function=Name(module, "_frombuffer"), arguments=(data, dtype, tuple() as shape, _)) if (
            module in _NUMERIC
        ):
            return _checked(dtype, data, shape, kind=kind)
    raise InputError(f"expected a list, or an array of NumPy's, got {_told(value)}")


def _checked(dtype: Any, data: Any, shape: tuple[Any, ...], *, kind: str) -> bytes:
    """The data of an array, once it is known to be a row of that many one-byte numbers."""
    match dtype:
        case Asked(function=Name("numpy", "dtype"), arguments=(name, *_)) if name in (kind, kind.encode()):
            row = _plain_bytes(data)
            if [n for n in (1, *shape) if n != 1] == [n for n in (len(row),) if n != 1]:
                return row
            raise InputError(f"expected an array in one row, got {len(row)} values")
    raise InputError(f"expected an array of type {kind}, got one of another type")


def _is_numpy(value: Any) -> bool:
    return isinstance(value, Asked) and isinstance(value.function, Name) and "numpy" in str(value.function)


def _told(value: Any) -> str:
    return repr(value) if isinstance(value, Asked) else type(value).__name__
