"""Before a gallery is given to another network: how would its answers change?

Each face is taken out and searched among all the others, once with the vectors it has and once with those of
the other contract. A face of somebody who has no other template is a stranger then: whoever it is named after
is the wrong person. The thresholds are those of each contract; a cosine of one network says nothing about the
other's.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.gallery.other_vectors import read_vectors
from vultus.gallery.rows import TemplateRow
from vultus.gallery.sqlite import SqliteGallery
from vultus.gallery.vault import vault_of
from vultus.match import per_person
from vultus.types import Embeddings, FloatArray

MAX_PROBES: Final = 2_000
MAX_CHANGES: Final = 100
_NOBODY: Final = -1


class Decision(StrEnum):
    """What became of a face that was searched among the others."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """A face that is decided differently.

    Attributes:
        template_id: number of the template.
        name: whose it is.
        before: who it is named after now; None for nobody.
        after: who it would be named after.
    """

    template_id: int
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the answers under another contract compare with the present ones.

    Attributes:
        before: the present contract.
        after: the other one.
        probes: how many faces were searched.
        mated: how many of them have another template of the same person to be found.
        rank1_before: mated faces whose person came first, / mated faces.
        rank1_after: the same under the other contract.
        same_first: faces for which the same person came first, / faces.
        decisions: how many faces were decided so before and so after; empty without thresholds.
        changes: faces that are decided differently, the first hundred.
    """

    before: str
    after: str
    probes: int
    mated: int
    rank1_before: float
    rank1_after: float
    same_first: float
    decisions: Mapping[tuple[Decision, Decision], int]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    first: NDArray[np.intp]  # (P,) who came first
    similarity: FloatArray  # (P,)

    def named(self, threshold: float) -> NDArray[np.intp]:
        return np.where(self.similarity >= threshold, self.first, _NOBODY)


def compare(
    gallery: SqliteGallery,
    contract: str,
    *,
    thresholds: tuple[float, float] | None = None,
    max_probes: int = MAX_PROBES,
    seed: int = 0,
) -> Agreement:
    """Search faces of the gallery among all others, under both contracts.

    Args:
        gallery: whose templates have vectors of both (`reembed`); those that have not are left out.
        contract: the other one.
        thresholds: `min_similarity` now, and under the other contract; without them only ranks are compared.
        max_probes: of more faces, so many are drawn.
        seed: of the draw.

    Raises:
        InputError: fewer than two people have vectors of that contract.
        GalleryError: a row is damaged.
    """
    rows = _both(gallery, contract)
    people, owners = np.unique([present.identity_id for present, _ in rows], return_inverse=True)
    if len(people) < 2:
        raise InputError(f"{len(people)} people have vectors of {contract}: nobody could be confused")
    probes = np.sort(np.random.default_rng(seed).permutation(len(rows))[:max_probes])
    before = _search(np.stack([present.embedding for present, _ in rows]), owners, probes)
    after = _search(np.stack([other.embedding for _, other in rows]), owners, probes)
    mates = np.bincount(owners)[owners[probes]] > 1
    pairs = np.empty((0, 2), np.intp)
    if thresholds is not None:
        pairs = np.stack([before.named(thresholds[0]), after.named(thresholds[1])], axis=1)
    names = {person.id: person.name for person in gallery.people()}
    return Agreement(
        before=rows[0][0].contract,
        after=contract,
        probes=len(probes),
        mated=int(mates.sum()),
        rank1_before=_share(before.first == owners[probes], mates),
        rank1_after=_share(after.first == owners[probes], mates),
        same_first=float(np.mean(before.first == after.first)),
        decisions=Counter(
            (_decision(old, owner), _decision(new, owner))
            for (old, new), owner in zip(pairs, owners[probes[: len(pairs)]], strict=True)
        ),
        changes=tuple(
            Change(
                rows[probe][0].id,
                names[people[owners[probe]]],
                *(None if one == _NOBODY else names[people[one]] for one in (old, new)),
            )
            for (old, new), probe in zip(pairs, probes[: len(pairs)], strict=True)
            if old != new
        )[:MAX_CHANGES],
    )


def _both(gallery: SqliteGallery, contract: str) -> list[tuple[TemplateRow, TemplateRow]]:
    """Each template as it is, and as it is under the other contract; decrypted."""
    with gallery.database.reading() as connection:
        vault = vault_of(connection)
        return [
            (vault.opened(present, None)[0], vault.opened(other, None)[0])
            for present, other in read_vectors(connection, contract, path=gallery.path)
        ]


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(hits[among].mean()) if among.any() else 0.0


def _search(rows: Embeddings, owners: NDArray[np.intp], probes: NDArray[np.intp]) -> _Search:
    """Each probe among all rows but itself."""
    first, similarity = np.empty(len(probes), np.intp), np.empty(len(probes), np.float32)
    count = int(owners.max()) + 1
    for i, probe in enumerate(probes):
        scores = rows @ rows[probe]
        scores[probe] = -np.inf
        best = per_person(scores, owners, count, "best")
        first[i], similarity[i] = best.argmax(), best.max()
    return _Search(first, similarity)


def _decision(named: int, owner: int) -> Decision:
    if named == _NOBODY:
        return Decision.UNKNOWN
    return Decision.RIGHT if named == owner else Decision.WRONG
