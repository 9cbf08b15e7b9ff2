"""A folder of people as an identification test: nobody is in two roles, and galleries are nested."""

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.evaluate import EmbeddedImages, search_split, split_people

OWNERS = [person for person in range(20) for _ in range(person % 4 + 1)]  # one to four images each


def faces(count: int, without: tuple[int, ...] = ()) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    has_face = np.ones(count, dtype=np.bool_)
    has_face[list(without)] = False
    return has_face


def test_every_image_serves_once() -> None:
    split = split_people(OWNERS, faces(len(OWNERS)), unenrolled=0.3, seed=3)
    used = np.concatenate([*split.enrolled, *split.probes, split.strangers])
    assert sorted(used.tolist()) == list(range(len(OWNERS)))
    owner = np.array(OWNERS)
    for entry, probes in zip(split.enrolled, split.probes, strict=True):
        assert len(entry) == 1
        assert set(owner[entry]) == set(owner[probes])
    assert not {OWNERS[entry[0]] for entry in split.enrolled} & set(owner[split.strangers].tolist())


def test_the_share_of_people_stays_outside_and_so_do_those_with_one_image() -> None:
    split = split_people(OWNERS, faces(len(OWNERS)), unenrolled=0.5)
    strangers = {OWNERS[i] for i in split.strangers}
    assert len(strangers) >= 10
    assert {person for person in range(20) if person % 4 == 0} <= strangers  # nothing left to search with
    closed = split_people(OWNERS, faces(len(OWNERS)), unenrolled=0)
    assert len(closed.enrolled) == 15


def test_the_seed_draws_the_people() -> None:
    def drawn(seed: int) -> list[int]:
        return [OWNERS[e[0]] for e in split_people(OWNERS, faces(len(OWNERS)), seed=seed).enrolled]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_an_image_without_a_face_is_not_enrolled_but_searched_for() -> None:
    split = split_people([0, 0, 0, 1, 1], faces(5, without=(0, 3, 4)), unenrolled=0)
    assert [entry.tolist() for entry in split.enrolled] == [[1]]
    assert [probes.tolist() for probes in split.probes] == [[0, 2]]
    assert split.strangers.tolist() == [3, 4]  # nobody could enrol person 1


def test_the_order_of_the_folder_can_be_restored() -> None:
    split = split_people(OWNERS, faces(len(OWNERS)), unenrolled=0).in_order()
    firsts = [int(entry[0]) for entry in split.enrolled]
    assert firsts == sorted(firsts)
    assert all(OWNERS[e[0]] == OWNERS[p[0]] for e, p in zip(split.enrolled, split.probes, strict=True))


def test_galleries_are_nested_and_meet_the_same_strangers() -> None:
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(len(OWNERS), 8))
    rows = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    landmarks = np.full((len(rows), 5, 2), np.nan, np.float32)
    embedded = EmbeddedImages(rows, faces(len(rows)), np.ones(len(rows), np.intp), landmarks)
    split = split_people(OWNERS, embedded.has_face, unenrolled=0.3, seed=1)
    small, large = (search_split(embedded, split, gallery_size=size) for size in (3, 8))
    assert len(small.stranger_scores) == len(large.stranger_scores) == len(split.strangers)
    assert (large.stranger_scores >= small.stranger_scores).all()  # more people, more chances
    assert len(small.ranks) == sum(len(probes) for probes in split.probes[:3])
    for size in (0, len(split.enrolled) + 1):
        with pytest.raises(InputError, match="can be enrolled"):
            search_split(embedded, split, gallery_size=size)


@pytest.mark.parametrize("wrong", [{"unenrolled": 1.0}, {"unenrolled": -0.1}, {"enrolled_images": 0}])
def test_impossible_splits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected a share"):
        split_people(OWNERS, faces(len(OWNERS)), **wrong)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InputError, match="nobody is left to enrol"):
        split_people([0, 1, 2], faces(3))
