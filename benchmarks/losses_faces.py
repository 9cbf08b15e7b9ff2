"""What `losses.py` trains on and verifies with: who, which pictures, which pairs."""

import csv
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.types import Crops

SIZE, PLAY = 32, 4  # the network's crops, and how far a training crop may shift: 32 of 36 px, as 112 of 128
PEOPLE, TRAINED, UNSEEN = 20, 150, 30  # people to train on; pictures of each to train on, and only to plot
PLANE_PEOPLE = 8
PROBED = 12  # pictures of each person of the held-out split
FOLDS, PAIRS_PER_KIND = 10, 100


@dataclass(frozen=True)
class Faces:
    """The faces of this benchmark, 36 x 36 px.

    Attributes:
        training: (PEOPLE * TRAINED, 36, 36, 3), ordered by person.
        unseen: (PLANE_PEOPLE * UNSEEN, 36, 36, 3), other pictures of the first of these people.
        probes: (M, 36, 36, 3), of the held-out people.
        left: (N,) the first image of each pair, as a position in `probes`.
        right: (N,) the second.
        is_genuine: (N,) bool.
        fold: (N,) 0 .. FOLDS - 1; no person is in two of them.
    """

    training: Crops
    unseen: Crops
    probes: Crops
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    is_genuine: NDArray[np.bool_]
    fold: NDArray[np.intp]


def read_faces(folder: Path, seed: int) -> Faces:
    """Those PINS people with the most pictures to train on, and everybody of the held-out split."""
    people = list_people(folder / "index.csv")
    sources = {split: [key for key in sorted(people) if key[0] == split] for split in ("train", "heldout")}
    pins = [key for key in sources["train"] if key[1] == "pins"]
    trained = sorted(pins, key=lambda key: -len(people[key]))[:PEOPLE]
    chance = np.random.default_rng(seed)
    pictures = [chance.permutation(people[key])[: TRAINED + UNSEEN] for key in trained]
    held_out = [chance.permutation(people[key])[:PROBED] for key in sources["heldout"]]
    left, right, is_genuine, fold = draw_pairs([len(each) for each in held_out], chance)
    return Faces(
        training=read_crops(folder, np.concatenate([each[:TRAINED] for each in pictures])),
        unseen=read_crops(folder, np.concatenate([each[TRAINED:] for each in pictures[:PLANE_PEOPLE]])),
        probes=read_crops(folder, np.concatenate(held_out)),
        left=left,
        right=right,
        is_genuine=is_genuine,
        fold=fold,
    )


def list_people(index: Path) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
    """(shard, file) of all pictures of each (split, source, identity)."""
    people: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    with index.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["identity"]:
                people[row["split"], row["source"], row["identity"]].append((row["shard"], row["file"]))
    return people


def read_crops(folder: Path, pictures: NDArray[np.str_]) -> Crops:
    """(N, 36, 36, 3) RGB of (N, 2) rows of shard and file."""
    side = SIZE + PLAY
    crops = np.empty((len(pictures), side, side, 3), np.uint8)
    for shard in np.unique(pictures[:, 0]):
        with tarfile.open(folder / shard) as archive:
            for row in np.flatnonzero(pictures[:, 0] == shard):
                member = archive.extractfile(str(pictures[row, 1]))
                assert member is not None
                bgr = cv2.imdecode(np.frombuffer(member.read(), np.uint8), cv2.IMREAD_COLOR)
                assert bgr is not None
                small = cv2.resize(bgr, (side, side), interpolation=cv2.INTER_AREA)
                crops[row] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return crops


def draw_pairs(
    counts: Sequence[int], chance: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
    """In each fold 100 genuine and 100 impostor pairs, all different, of people who are in no other fold.

    Args:
        counts: how many pictures each person has; these lie one after the other.
        chance: draws first the people, evenly, then their pictures.
    """
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows: list[tuple[int, int]] = []
    for fold in range(FOLDS):
        people = np.arange(fold, len(counts), FOLDS)
        for is_genuine in (True, False):
            drawn: dict[tuple[int, int], None] = {}  # a set that keeps its order
            while len(drawn) < PAIRS_PER_KIND:
                if is_genuine:
                    person = chance.choice(people)
                    one, other = starts[person] + chance.choice(counts[person], 2, replace=False)
                else:
                    first, second = chance.choice(people, 2, replace=False)
                    one = starts[first] + chance.integers(counts[first])
                    other = starts[second] + chance.integers(counts[second])
                drawn[min(one, other), max(one, other)] = None
            rows.extend(drawn)
    left, right = np.array(rows, dtype=np.intp).T
    is_genuine_row = np.tile(np.repeat([True, False], PAIRS_PER_KIND), FOLDS)
    return left, right, is_genuine_row, np.repeat(np.arange(FOLDS, dtype=np.intp), 2 * PAIRS_PER_KIND)
