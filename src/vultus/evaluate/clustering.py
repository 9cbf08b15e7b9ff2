"""How well a grouping of faces agrees with who they are.

With L(i) all faces of the person of face i, and C(i) all faces of the group that it was put into,

    B-cubed    precision = mean over i of |C(i) & L(i)| / |C(i)|
               recall    = mean over i of |C(i) & L(i)| / |L(i)|
    pairwise   precision = pairs that are in one group and of one person / pairs in one group
               recall    = pairs that are in one group and of one person / pairs of one person
    F1         = 2 precision recall / (precision + recall)

Pairwise figures grow with the square of a person: whoever is in 500 photos decides them. In B-cubed each face
counts the same, whatever became of the large groups.

Bagga, Baldwin: Entity-based cross-document coreferencing using the vector space model. COLING-ACL 1998.
https://doi.org/10.3115/980845.980859
Amigó, Gonzalo, Artiles, Verdejo: A comparison of extrinsic clustering evaluation metrics based on formal
constraints. Information Retrieval, 2009. https://doi.org/10.1007/s10791-008-9066-8
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vultus.errors import ShapeError
from vultus.evaluate.classification import Average


@dataclass(frozen=True, slots=True)
class ClusteringResult:
    """The figures of a grouping.

    Attributes:
        faces: how many were grouped.
        people: how many there are.
        groups: how many were made of them.
        bcubed: each face counts the same.
        pairwise: each pair of faces counts the same. Where there is no pair to be wrong about, a rate is 1.
    """

    faces: int
    people: int
    groups: int
    bcubed: Average
    pairwise: Average


def clustering(identities: Sequence[Hashable], groups: Sequence[Hashable]) -> ClusteringResult:
    """Compare a grouping with the truth.

    Args:
        identities: (N,) whose face each is.
        groups: (N,) which group it was put into.

    Raises:
        ShapeError: not as many groups as identities, or none.
    """
    if len(identities) != len(groups) or not len(identities):
        raise ShapeError(f"expected a group for each face, got {len(identities)} faces, {len(groups)} groups")
    person, group = _numbered(identities), _numbered(groups)
    per_person, per_group = np.bincount(person), np.bincount(group)
    cells, common = np.unique(np.stack([person, group]), axis=1, return_counts=True)  # (2, M), (M,)
    squares = common.astype(np.float64) ** 2
    return ClusteringResult(
        faces=len(person),
        people=len(per_person),
        groups=len(per_group),
        bcubed=_average(
            float((squares / per_group[cells[1]]).sum() / len(person)),
            float((squares / per_person[cells[0]]).sum() / len(person)),
        ),
        pairwise=_average(
            _ratio(_pairs(common), _pairs(per_group)), _ratio(_pairs(common), _pairs(per_person))
        ),
    )


def _numbered(values: Sequence[Hashable]) -> NDArray[np.intp]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.intp)


def _pairs(sizes: NDArray[np.intp]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _average(precision: float, recall: float) -> Average:
    both = precision + recall
    return Average(precision, recall, 2 * precision * recall / both if both else 0.0)
