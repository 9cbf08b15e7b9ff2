"""Plans: what each promises about its batches, on made-up people and on the real ones."""

from collections import Counter
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError, ShapeError
from vultus.training.data.samplers import Indices, balanced, class_aware, pxk
from vultus.training.data.shards import read_shards
from vultus.training.samples import Plan


def labels_of(sizes: list[int], *, unlabelled: int = 3, seed: int = 0) -> Indices:
    """So many crops of each person, mixed, and some of nobody known."""
    labels = np.repeat(np.arange(-1, len(sizes)), [unlabelled, *sizes])
    return np.random.default_rng(seed).permutation(labels)


def drawn(plan: Plan, epoch: int = 0) -> list[int]:
    return list(chain.from_iterable(plan(epoch)))


def plans(*, seed: int = 7) -> list[Plan]:
    labels = labels_of([5, 1, 9, 2, 2])
    return [
        class_aware(labels, 4, seed=seed),
        pxk(labels, people=2, crops_each=2, seed=seed),
        balanced(labels, per_batch=[1, 1, 2, 1, 1], seed=seed),
    ]


@pytest.mark.parametrize("number", range(3))
def test_an_epoch_is_always_the_same_and_another_one_is_not(number: int) -> None:
    plan, same, other_seed = plans()[number], plans()[number], plans(seed=8)[number]
    assert plan(3) == same(3)
    assert plan(3) == plan(3)
    assert plan(3) != plan(4)
    assert len(plan(3)) == len(plan(4))
    assert plan(3) != other_seed(3)


@pytest.mark.parametrize("number", range(3))
def test_nobody_known_is_never_drawn(number: int) -> None:
    labels = labels_of([5, 1, 9, 2, 2])
    assert -1 in labels
    assert min(labels[drawn(plans()[number])]) >= 0


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 8), st.integers(0, 5))
def test_class_aware_shows_everybody_equally_often(sizes: list[int], batch_size: int, epoch: int) -> None:
    labels = labels_of(sizes)
    if sum(sizes) < batch_size:
        with pytest.raises(InputError, match="do not make a batch"):
            class_aware(labels, batch_size, seed=1)
        return
    batches = class_aware(labels, batch_size, seed=1)(epoch)
    assert {len(batch) for batch in batches} == {batch_size}
    assert len(batches) == sum(sizes) // batch_size
    crops = Counter(chain.from_iterable(batches))
    people = Counter(int(labels[crop]) for crop in crops.elements())
    turns = [people[person] for person in range(len(sizes))]
    assert max(turns) - min(turns) <= 1
    for person, size in enumerate(sizes):  # all crops of a person before any comes again
        seen = [crops[int(crop)] for crop in np.flatnonzero(labels == person)]
        assert len(seen) == size
        assert max(seen) - min(seen) <= 1


def test_class_aware_sees_other_crops_of_a_large_person_every_epoch() -> None:
    labels = labels_of([100, 2, 2, 2])
    plan = class_aware(labels, 8, seed=0)
    of_the_first = [{crop for crop in drawn(plan, epoch) if labels[crop] == 0} for epoch in range(12)]
    assert 25 <= len(of_the_first[0]) <= 27  # a quarter of 104 crops
    assert len(set.union(*of_the_first)) > 90


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=8),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 5),
)
def test_pxk_has_p_different_people_with_k_crops_each(
    sizes: list[int], people: int, crops_each: int, epoch: int
) -> None:
    labels = labels_of(sizes)
    if people > len(sizes):
        with pytest.raises(InputError, match=f"expected batches of 1 to {len(sizes)} people"):
            pxk(labels, people=people, crops_each=crops_each, seed=1)
        return
    batches = pxk(labels, people=people, crops_each=crops_each, seed=1)(epoch)
    for batch in batches:
        groups = np.array(batch).reshape(people, crops_each)
        owners = labels[groups]
        assert (owners == owners[:, :1]).all()
        assert len(set(owners[:, 0].tolist())) == people
        for group, owner in zip(groups.tolist(), owners[:, 0].tolist(), strict=True):
            assert len(set(group)) == min(crops_each, sizes[owner])  # different, as far as there are any
    times = Counter(chain.from_iterable(batches))
    groups_of = [-(-size // crops_each) for size in sizes]
    for person, size in enumerate(sizes):  # no group comes twice
        shown = sum(times[int(crop)] for crop in np.flatnonzero(labels == person))
        assert shown <= groups_of[person] * crops_each
        if size >= crops_each:
            assert all(times[int(crop)] <= 2 for crop in np.flatnonzero(labels == person))
    full = len(batches)  # and one batch more could not have been filled
    assert sum(min(groups, full) for groups in groups_of) >= full * people
    assert sum(min(groups, full + 1) for groups in groups_of) < (full + 1) * people


def test_pxk_shows_every_crop_when_the_people_are_alike() -> None:
    labels = labels_of([8] * 12)
    batches = pxk(labels, people=4, crops_each=4, seed=0)(0)
    assert len(batches) == 6
    assert sorted(drawn(pxk(labels, people=4, crops_each=4, seed=0))) == np.flatnonzero(labels >= 0).tolist()


def test_pxk_repeats_the_crops_of_people_with_few() -> None:
    labels = np.array([0, 1, 1, 2, 2, 2])
    (batch,) = pxk(labels, people=3, crops_each=3, seed=0)(0)
    groups = {int(labels[group[0]]): Counter(group) for group in (batch[:3], batch[3:6], batch[6:])}
    assert groups[0] == {0: 3}
    assert sorted(groups[1].values()) == [1, 2]
    assert sorted(groups[2].values()) == [1, 1, 1]


def test_pxk_mixes_people_anew() -> None:
    plan = pxk(labels_of([4] * 40), people=4, crops_each=4, seed=0)
    labels = labels_of([4] * 40)
    together = [{frozenset(labels[batch].tolist()) for batch in plan(epoch)} for epoch in range(5)]
    assert all(len(one & other) == 0 for one, other in pairwise(together))


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 4)), min_size=1, max_size=4), st.integers(0, 5))
def test_balanced_has_so_many_of_each_group(groups: list[tuple[int, int]], epoch: int) -> None:
    sizes, wanted = [size for size, _ in groups], [count for _, count in groups]
    labels = labels_of(sizes)
    batches = balanced(labels, per_batch=wanted, seed=1)(epoch)
    assert batches
    for batch in batches:
        assert np.bincount(labels[batch], minlength=len(sizes)).tolist() == wanted
    times = Counter(chain.from_iterable(batches))
    for group in range(len(sizes)):
        seen = [times[int(row)] for row in np.flatnonzero(labels == group)]
        assert min(seen) >= 1
        assert max(seen) - min(seen) <= 1
    assert len(batches) == max(-(-size // count) for size, count in groups)


def test_balanced_puts_the_groups_into_no_order() -> None:
    labels = labels_of([100, 100], unlabelled=0)
    batches = balanced(labels, per_batch=[8, 8], seed=0)(0)
    first = [int(labels[batch[0]]) for batch in batches]
    assert 0 < sum(first) < len(first)


@pytest.mark.parametrize("per_batch", [[1, 1, 1], [1, 0], [0, 0]])
def test_a_group_without_samples_is_refused(per_batch: list[int]) -> None:
    with pytest.raises(InputError, match="expected at least one of each"):
        balanced(np.array([0, 0, 1, -1]), per_batch=per_batch, seed=0)


@pytest.mark.parametrize("bad", [0, -1])
def test_empty_batches_are_refused(bad: int) -> None:
    labels = labels_of([3, 3])
    with pytest.raises(InputError, match="do not make a batch"):
        class_aware(labels, bad, seed=0)
    for sizes in ({"people": bad, "crops_each": 2}, {"people": 2, "crops_each": bad}):
        with pytest.raises(InputError, match="expected batches of 1 to 2 people"):
            pxk(labels, **sizes, seed=0)


def test_people_are_whole_numbers() -> None:
    with pytest.raises(ShapeError, match="float64"):
        class_aware(np.array([0.0, 1.0]), 1, seed=0)


def test_the_real_people_make_full_batches(shared: Path) -> None:
    faces = read_shards(shared / "data" / "faces", split="train")
    labels = faces.identity_index
    batches = pxk(labels, people=16, crops_each=4, seed=0)(0)
    known = int((labels >= 0).sum())
    assert len(batches) > known / 64
    assert all(len(set(labels[batch].tolist())) == 16 for batch in batches)
    assert len(set(chain.from_iterable(batches))) > 0.99 * known
