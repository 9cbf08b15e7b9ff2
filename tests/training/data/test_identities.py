"""What every set of faces promises, and choosing among them."""

import numpy as np
import pytest

from vultus.errors import ImageError, InputError, ShapeError
from vultus.training.data.identities import (
    IdentitySet,
    crop_counts,
    decoded,
    digest,
    labelled,
    numbered,
    select,
)
from vultus.types import Image


class Painted:
    """Crops of one colour each: crop i is all i."""

    def __init__(self, labels: list[str]) -> None:
        self.identity_index, self.names = numbered(labels)
        self.fingerprint = digest(labels)

    def __len__(self) -> int:
        return len(self.identity_index)

    def crop(self, index: int) -> Image:
        return np.full((4, 4, 3), index, np.uint8)


@pytest.fixture
def faces() -> IdentitySet:
    return Painted(["Bo", "", "Ann", "Bo", "Cy", "Ann", "Bo"])


def test_people_are_numbered_in_the_order_of_their_names() -> None:
    index, names = numbered(["Bo", "", "Ann", "Bo"])
    assert names == ("Ann", "Bo")
    assert index.tolist() == [1, -1, 0, 1]
    assert index.dtype == np.int64


def test_numbers_keep_their_order_and_a_whole_range_its_numbers() -> None:
    index, names = numbered(["10", "2", "0", "2"])
    assert names == ("0", "2", "10")
    assert index.tolist() == [2, 1, 0, 1]
    assert numbered([str(i) for i in range(12)])[0].tolist() == list(range(12))


def test_a_set_of_nobody_known_has_no_names() -> None:
    index, names = numbered(["", ""])
    assert (index.tolist(), names) == ([-1, -1], ())


def test_a_selection_counts_its_people_anew(faces: IdentitySet) -> None:
    chosen = select(faces, [6, 4, 1, 0])
    assert len(chosen) == 4
    assert chosen.names == ("Bo", "Cy")
    assert chosen.identity_index.tolist() == [0, 1, -1, 0]
    assert [int(chosen.crop(i)[0, 0, 0]) for i in range(4)] == [6, 4, 1, 0]
    assert chosen.indices.tolist() == [6, 4, 1, 0]


def test_a_mask_selects_too_and_selections_nest(faces: IdentitySet) -> None:
    first = select(faces, np.array([True, False, True, True, False, True, False]))
    second = select(first, [3, 0])
    assert second.names == ("Ann", "Bo")
    assert [int(second.crop(i)[0, 0, 0]) for i in range(2)] == [5, 0]


def test_a_selection_has_a_fingerprint_of_its_own(faces: IdentitySet) -> None:
    prints = {faces.fingerprint, *(select(faces, rows).fingerprint for rows in ([0, 1], [1, 0], [0, 1, 2]))}
    assert len(prints) == 4
    assert select(faces, [0, 1]).fingerprint == select(faces, [0, 1]).fingerprint


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([], InputError, "got none"),
        ([7], InputError, "from 0 to 6, got 7 to 7"),
        ([-1, 0], InputError, "from 0 to 6"),
        ([0.5], ShapeError, "float64"),
        ([[0, 1]], ShapeError, r"\(1, 2\)"),
        (np.zeros(6, bool), ShapeError, "a mask of 7"),
        (np.zeros(7, bool), InputError, "got none"),
    ],
)
def test_what_is_no_selection_is_refused(
    faces: IdentitySet, indices: object, error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        select(faces, indices)  # type: ignore[arg-type]  # that is the point


def test_crops_are_counted_by_person(faces: IdentitySet) -> None:
    assert crop_counts(faces).tolist() == [2, 3, 1]


def test_only_the_labelled_are_left_if_they_are_many_enough(faces: IdentitySet) -> None:
    assert labelled(faces).indices.tolist() == [0, 2, 3, 4, 5, 6]
    often = labelled(faces, min_crops=2)
    assert often.names == ("Ann", "Bo")
    assert often.indices.tolist() == [0, 2, 3, 5, 6]
    with pytest.raises(InputError, match="at least one"):
        labelled(faces, min_crops=4)


def test_bytes_that_are_no_image_are_named() -> None:
    with pytest.raises(ImageError, match=r"record 7 of train\.rec"):
        decoded(b"no image", what="record 7 of train.rec")
