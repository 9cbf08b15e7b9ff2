"""Which crops make which batch, by whose they are: plans, as the trainer takes them (`training.samples`).

    shuffled        (training.samples) every crop once in an epoch
    class_aware     every person equally often in an epoch, however many crops they have
    pxk             P people x K crops in every batch, for losses that compare within a batch
    balanced        so many of each group (domain, source, labelled or not) in every batch

A plan is a function of the epoch and its seed alone. Crops of nobody known (-1) are left out.

An index that a batch names twice is augmented twice, each time differently (`identity_samples`): a person
with fewer than K crops still makes K different pictures.

Shen, Lin, Huang: Relay backpropagation for effective learning of deep CNNs (class-aware sampling). ECCV
2016. https://arxiv.org/abs/1512.05830
Hermans, Beyer, Leibe: In defense of the triplet loss (P x K). 2017. https://arxiv.org/abs/1703.07737
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.training.samples import Plan

Indices = NDArray[np.int64]


def class_aware(identity_index: Indices, batch_size: int, *, seed: int) -> Plan:
    """Every person equally often, give or take one; each with all of their crops before any comes again.

    An epoch has as many full batches as the labelled crops make.

    Args:
        identity_index: (N,) whose face each crop shows, -1 for nobody known.
        batch_size: crops in a batch.
        seed: decides everything but the epoch.

    Raises:
        InputError: no batch can be filled.
    """
    people = _People(identity_index)
    batches = len(people.rows) // batch_size if batch_size > 0 else 0
    if batches == 0:
        raise InputError(f"{len(people.rows):,} labelled crops do not make a batch of {batch_size}")

    def plan(epoch: int) -> list[list[int]]:
        chance = np.random.default_rng((seed, epoch))
        rounds = -(-batches * batch_size // people.count)
        turns = np.concatenate([chance.permutation(people.count) for _ in range(rounds)])
        turn = np.arange(len(turns)) // people.count  # (rounds * C,) how often this person was there before
        crops = people.crops(turns, turn, chance)[: batches * batch_size]
        return _lists(crops.reshape(batches, batch_size))

    return plan


def pxk(identity_index: Indices, *, people: int, crops_each: int, seed: int) -> Plan:
    """P different people with K crops each in every batch; the crops of one person stand together.

    A person's crops are dealt in groups of K; the last group is filled up from the first, and K crops of a
    person who has fewer repeat some. In an epoch no group comes twice, and there are as many full batches as
    the groups can make: what does not fit (less than a batch, or much of a person who has more groups than
    there are batches) is left out this time.

    Args:
        identity_index: (N,) whose face each crop shows, -1 for nobody known.
        people: P.
        crops_each: K.
        seed: decides everything but the epoch.

    Raises:
        InputError: fewer people than P, or P or K below 1.
    """
    known = _People(identity_index)
    if not 1 <= people <= known.count or crops_each < 1:
        raise InputError(
            f"expected batches of 1 to {known.count:,} people (so many have crops) with at least one crop "
            f"each, got {people} x {crops_each}"
        )
    groups = -(-known.sizes // crops_each)  # (C,) how many each person has
    batches = _full_batches(groups, people)

    def plan(epoch: int) -> list[list[int]]:
        chance = np.random.default_rng((seed, epoch))
        order = chance.permutation(known.count)
        dealt = np.minimum(groups[order], batches)  # nobody twice in a batch
        person = np.repeat(order, dealt)[: batches * people]
        group = _count_up(dealt)[: batches * people]
        turn = group[:, None] * crops_each + np.arange(crops_each)  # (batches * P, K)
        crops = known.crops(person[:, None], turn, chance)
        # Group i goes to batch i mod `batches`: a person has at most so many groups, one behind the other.
        by_batch = crops.reshape(people, batches, crops_each).swapaxes(0, 1)
        return _lists(chance.permutation(by_batch).reshape(batches, people * crops_each))

    return plan


def balanced(groups: Indices, *, per_batch: Sequence[int], seed: int) -> Plan:
    """So many of each group in every batch, in random order.

    An epoch ends when every sample of every group was there once: the group that lasts longest decides. The
    others are shuffled and repeated until then, and so is what the last batch lacks.

    Args:
        groups: (N,) which group each sample is of, 0 .. G - 1; -1 leaves it out.
        per_batch: (G,) how many of each group a batch holds.
        seed: decides everything but the epoch.

    Raises:
        InputError: a group without samples, or of which a batch is to hold none.
    """
    members = [np.flatnonzero(groups == group) for group in range(len(per_batch))]
    for group, (rows, wanted) in enumerate(zip(members, per_batch, strict=True)):
        if len(rows) == 0 or wanted < 1:
            raise InputError(
                f"group {group} has {len(rows):,} samples and a batch is to hold {wanted}; expected at least "
                "one of each"
            )
    batches = max(-(-len(rows) // wanted) for rows, wanted in zip(members, per_batch, strict=True))

    def plan(epoch: int) -> list[list[int]]:
        chance = np.random.default_rng((seed, epoch))
        parts = [
            _endless(rows, batches * wanted, chance).reshape(batches, wanted)
            for rows, wanted in zip(members, per_batch, strict=True)
        ]
        return _lists(chance.permuted(np.concatenate(parts, axis=1), axis=1))

    return plan


class _People:
    """Who has which crops.

    Attributes:
        rows: (M,) the labelled crops, person after person.
        sizes: (C,) how many crops each person has; people without any are not counted.
        count: C.
    """

    def __init__(self, identity_index: Indices) -> None:
        index = np.asarray(identity_index)
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise ShapeError(
                f"identity_index must be whole numbers (N,), got {index.dtype} of shape {index.shape}"
            )
        labelled = np.flatnonzero(index >= 0)
        _, person, self.sizes = np.unique(index[labelled], return_inverse=True, return_counts=True)
        self._person = np.sort(person)
        self.rows = labelled[np.argsort(person, kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)])[:-1]
        self.count = len(self.sizes)

    def crops(self, people: Indices, turn: Indices, chance: np.random.Generator) -> Indices:
        """The crop that each of these people shows on their `turn`-th turn, from 0.

        Args:
            people: numbers of people, of any shape that broadcasts with `turn`.
            turn: how many crops of this person came before; beyond their last they begin anew.
            chance: puts everybody's crops into an order.
        """
        shuffled = self.rows[np.lexsort((chance.random(len(self.rows)), self._person))]
        return np.asarray(shuffled[self._starts[people] + turn % self.sizes[people]])


def _full_batches(groups: Indices, people: int) -> int:
    """The most batches of `people` different people that this many groups of each person can fill."""
    fewest, most = 1, int(groups.sum()) // people
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if int(np.minimum(groups, middle).sum()) >= middle * people:
            fewest = middle
        else:
            most = middle - 1
    return fewest


def _count_up(sizes: Indices) -> Indices:
    """0 .. n - 1 for each n, one behind the other."""
    starts = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(int(sizes.sum())) - np.repeat(starts, sizes))


def _endless(rows: Indices, count: int, chance: np.random.Generator) -> Indices:
    """`count` of the rows: all of them in random order, then all of them in another, and so on."""
    rounds = -(-count // len(rows))
    return np.concatenate([chance.permutation(rows) for _ in range(rounds)])[:count]


def _lists(batches: NDArray[Any]) -> list[list[int]]:
    indices: list[list[int]] = batches.tolist()
    return indices
