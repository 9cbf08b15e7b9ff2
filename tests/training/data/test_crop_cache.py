"""Decoded crops in a file: the same crops, decoded once, whole or not there at all."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import ImageError, InputError, ShapeError
from vultus.training.data.crop_cache import cached
from vultus.training.data.identities import Selection, numbered, select
from vultus.training.data.shards import ShardFaces
from vultus.types import Image


class Counted:
    """Crops that count how often they are decoded; the one at `broken` cannot be."""

    def __init__(self, *, broken: int | None = None, sizes: tuple[int, ...] = (8, 8, 8)) -> None:
        self.identity_index, self.names = numbered(["Bo", "", "Ann"])
        self.fingerprint = "0123456789abcdef"
        self.decoded = 0
        self._broken = broken
        self._sizes = sizes

    def __len__(self) -> int:
        return 3

    def crop(self, index: int) -> Image:
        self.decoded += 1
        if index == self._broken:
            raise ImageError(f"crop {index} is damaged")
        return np.full((self._sizes[index], self._sizes[index], 3), index, np.uint8)


def test_crops_and_people_are_the_same(tmp_path: Path) -> None:
    faces = cached(Counted(), tmp_path / "new")
    assert len(faces) == 3
    assert [int(faces.crop(i).max()) for i in range(3)] == [0, 1, 2]
    assert faces.crop(1).shape == (8, 8, 3)
    assert faces.crop(1).dtype == np.uint8
    assert (faces.names, faces.identity_index.tolist()) == (("Ann", "Bo"), [1, -1, 0])
    assert faces.fingerprint == "0123456789abcdef"


def test_every_crop_is_decoded_once(tmp_path: Path) -> None:
    first, second = Counted(), Counted()
    cached(first, tmp_path)
    assert first.decoded == 4  # the first one twice: its size is needed before the file begins
    again = cached(second, tmp_path)
    assert second.decoded == 0
    assert int(again.crop(2).max()) == 2


def test_kept_crops_are_not_to_be_written_to(tmp_path: Path) -> None:
    crop = cached(Counted(), tmp_path).crop(0)
    with pytest.raises(ValueError, match="read-only"):
        crop[0, 0, 0] = 1


def test_a_file_that_was_not_finished_is_not_taken_for_whole(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="crop 2 is damaged"):
        cached(Counted(broken=2), tmp_path)
    assert list(tmp_path.glob("*.npy")) == []
    assert int(cached(Counted(), tmp_path).crop(2).max()) == 2
    assert list(tmp_path.glob("*.tmp")) == []


def test_crops_of_several_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"crop 2 has shape \(9, 9, 3\), crop 0 \(8, 8, 3\)"):
        cached(Counted(sizes=(8, 8, 9)), tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot keep decoded crops in .*file"):
        cached(Counted(), tmp_path / "file")


def test_what_goes_to_another_process_is_a_name_not_the_crops(tmp_path: Path) -> None:
    faces = cached(Counted(sizes=(200, 200, 200)), tmp_path)
    faces.crop(0)
    posted = pickle.dumps(faces)
    assert len(posted) < 2000
    assert int(pickle.loads(posted).crop(1).max()) == 1


def test_real_crops_are_kept_to_the_bit(heldout: ShardFaces, tmp_path: Path) -> None:
    some = select(heldout, np.arange(0, 4000, 200))
    kept = cached(some, tmp_path)
    assert len(kept) == 20
    for i in range(20):
        np.testing.assert_array_equal(kept.crop(i), some.crop(i))
    part = select(kept, [5, 3])
    assert isinstance(part, Selection)
    np.testing.assert_array_equal(part.crop(0), some.crop(5))
    other = cached(select(heldout, np.arange(1, 4000, 200)), tmp_path)
    assert other.path != kept.path
