"""What a cleaning looks for, from where on it is a finding, and what a finding says."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a finding is of."""

    SAME_BYTES = "same bytes"
    NEAR_DUPLICATE = "near duplicate"
    MISLABELLED = "mislabelled"
    OVERLAP = "in the test set"
    MERGED = "two in one"
    SPLIT = "one in two"


MOVABLE: Final = (Kind.SAME_BYTES, Kind.NEAR_DUPLICATE, Kind.MISLABELLED, Kind.OVERLAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanSettings:
    """From where on something is a finding. All are cosines, larger = closer.

    Attributes:
        min_duplicate: two crops this alike are one picture.
        min_own: a crop less like its own person than this is mislabelled, ...
        min_other: ... and so is one that is at least this like another person,
        min_lead: and more like them than like its own by this much.
        max_merged: two groups of one person's crops that are less alike than this are two people.
        min_share: the smaller of these groups has at least this share of the crops.
        min_split: two people whose crops are, on the whole, this alike are one.
        min_crops: a person with fewer crops is neither split nor merged.
        min_overlap: a crop this like a face of the test set shows somebody of it.
    """

    min_duplicate: float = 0.95
    min_own: float = 0.3
    min_other: float = 0.4
    min_lead: float = 0.1
    max_merged: float = 0.4
    min_share: float = 0.2
    min_split: float = 0.6
    min_crops: int = 6
    min_overlap: float = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to be looked at.

    Attributes:
        kind: what it is.
        crops: positions of the crops in question: those that a cleaning moves out of the way.
        beside: positions of crops to compare them with.
        similarity: the cosine that gave it away.
        note: in words.
    """

    kind: Kind
    crops: tuple[int, ...]
    beside: tuple[int, ...]
    similarity: float
    note: str
