"""What is wrong with a set of labelled faces, as far as the faces themselves can tell.

With unit embeddings e, and for each person the sum of theirs, a crop is compared with its own person *without
itself* and with everybody else:

    own_i   = cos(e_i, sum of the person's other embeddings)
    other_i = the largest cos(e_i, sum of another person's embeddings)

    mislabelled       own < min_own, or other > own + min_lead while other >= min_other
    duplicates        the same bytes; or cos(e_i, e_j) >= min_duplicate
    two in one        the person's crops fall into two groups whose sums are less alike than max_merged
    one in two        the sums of two people are at least min_split alike
    in the test set   the crop is at least min_overlap like a face of a set that will be tested on

Nothing is proven by it: a profile in the dark resembles nobody, and brothers resemble each other. Each
finding is there to be looked at. `docs/training/preparing-faces.md` has precision and recall on a set made
dirty on purpose; the thresholds are for SFace's embeddings, mirror-averaged.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.training.data.findings import CleanSettings, Finding, Kind
from vultus.training.data.identities import IdentityIndex
from vultus.types import Embeddings, FloatArray

BLOCK: Final = 1024  # rows of a similarity matrix held at once
SHOWN_BESIDE: Final = 5
_ROUNDS: Final = 20  # of 2-means, which settles in fewer


class Closeness(NamedTuple):
    """How like its own person, and how like another, each crop is.

    Attributes:
        own: (N,) cosine to the sum of the person's other crops; 1 for a person's only crop.
        other: (N,) cosine to the closest other person.
        closest: (N,) who that is.
    """

    own: FloatArray
    other: FloatArray
    closest: NDArray[np.int64]


class Labelled(NamedTuple):
    """Embeddings and labels, side by side.

    Attributes:
        embeddings: (N, D) unit rows.
        identity_index: (N,) whose face each crop is said to show, 0 .. C - 1.
        names: (C,) the people.
    """

    embeddings: Embeddings
    identity_index: IdentityIndex
    names: Sequence[str]


def find_all(
    faces: Labelled,
    hashes: Sequence[str],
    *,
    settings: CleanSettings,
    against: Embeddings | None = None,
) -> list[Finding]:
    """All findings, kind by kind, the clearest first. No crop is in question for two reasons.

    Args:
        faces: at least two people.
        hashes: (N,) of each crop's bytes.
        settings: from where on.
        against: (M, D) the faces of a test set.

    Raises:
        ShapeError: not one label and one hash for each embedding.
        InputError: a crop of nobody known, or fewer than two people.
    """
    _check(faces, hashes)
    closeness = closeness_of(faces)
    findings = same_bytes(faces, hashes, closeness)
    if against is not None:
        findings += overlaps(faces, against, min_overlap=settings.min_overlap)
    findings += mislabelled(faces, closeness, settings=settings)
    findings += near_duplicates(faces, closeness, min_similarity=settings.min_duplicate)
    return [*_each_crop_once(findings), *merged(faces, settings=settings), *split(faces, settings=settings)]


def closeness_of(faces: Labelled) -> Closeness:
    """How like its own person, and how like another, each crop is."""
    rows = np.arange(len(faces.embeddings))
    sums = _sums(faces)
    rest = sums[faces.identity_index] - faces.embeddings  # (N, D) of the person's other crops
    counts = np.bincount(faces.identity_index, minlength=len(faces.names))
    own = np.einsum("nd,nd->n", _unit(rest), faces.embeddings)
    own[counts[faces.identity_index] == 1] = 1.0
    other = np.empty(len(rows), np.float32)
    closest = np.empty(len(rows), np.int64)
    people = _unit(sums)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        similarities = faces.embeddings[block] @ people.T  # (B, C)
        similarities[rows[: len(similarities)], faces.identity_index[block]] = -1
        closest[block] = similarities.argmax(axis=1)
        other[block] = similarities.max(axis=1)
    return Closeness(own.astype(np.float32), other, closest)


def same_bytes(faces: Labelled, hashes: Sequence[str], closeness: Closeness) -> list[Finding]:
    """Files that are copies of each other; the one that is most like its person is not in question."""
    groups: dict[str, list[int]] = {}
    for row, told in enumerate(hashes):
        groups.setdefault(told, []).append(row)
    return [_copies(Kind.SAME_BYTES, group, faces, closeness) for group in groups.values() if len(group) > 1]


def near_duplicates(faces: Labelled, closeness: Closeness, *, min_similarity: float) -> list[Finding]:
    """Crops that are one picture: cut, sized or compressed anew."""
    groups = _Groups(len(faces.embeddings))
    for left, right in _pairs_from(faces.embeddings, min_similarity):
        groups.join(left, right)
    return [_copies(Kind.NEAR_DUPLICATE, group, faces, closeness) for group in groups.all() if len(group) > 1]


def mislabelled(faces: Labelled, closeness: Closeness, *, settings: CleanSettings) -> list[Finding]:
    """Crops that do not look like the person whose name they have, the least alike first."""
    own, other, closest = closeness
    is_another = (other > own + settings.min_lead) & (other >= settings.min_other)
    found = np.flatnonzero((own < settings.min_own) | is_another)
    findings = []
    for row in found[np.argsort(own[found], kind="stable")].tolist():
        name = faces.names[faces.identity_index[row]]
        note = f"{own[row]:.2f} like the other crops of {name}"
        if is_another[row]:
            note += f", {other[row]:.2f} like {faces.names[closest[row]]}"
        beside = _some_of(faces, int(faces.identity_index[row]), without=row)
        findings.append(Finding(Kind.MISLABELLED, (row,), beside, float(own[row]), note))
    return findings


def overlaps(faces: Labelled, against: Embeddings, *, min_overlap: float) -> list[Finding]:
    """People of whom a crop looks like a face of the test set: all such crops of theirs, person by person."""
    best = np.concatenate(
        [
            (faces.embeddings[start : start + BLOCK] @ against.T).max(axis=1)
            for start in range(0, len(faces.embeddings), BLOCK)
        ]
    )
    findings = []
    for person in np.unique(faces.identity_index[best >= min_overlap]).tolist():
        rows = np.flatnonzero((faces.identity_index == person) & (best >= min_overlap))
        note = f"{len(rows)} crops of {faces.names[person]} look like a face of the test set"
        top = float(best[rows].max())
        findings.append(Finding(Kind.OVERLAP, tuple(rows.tolist()), (), top, note))
    return sorted(findings, key=lambda finding: -finding.similarity)


def merged(faces: Labelled, *, settings: CleanSettings) -> list[Finding]:
    """People whose crops seem to show two."""
    findings = []
    for person, name in enumerate(faces.names):
        rows = np.flatnonzero(faces.identity_index == person)
        if len(rows) < settings.min_crops:
            continue
        is_first, similarity = two_groups(faces.embeddings[rows])
        share = min(is_first.mean(), 1 - is_first.mean())
        if similarity < settings.max_merged and share >= settings.min_share:
            note = f"{name}: {int(is_first.sum())} and {int((~is_first).sum())} crops, {similarity:.2f} alike"
            pictures = (rows[is_first], rows[~is_first])
            shown, beside = (tuple(some[:SHOWN_BESIDE].tolist()) for some in pictures)
            findings.append(Finding(Kind.MERGED, shown, beside, similarity, note))
    return sorted(findings, key=lambda finding: finding.similarity)


def split(faces: Labelled, *, settings: CleanSettings) -> list[Finding]:
    """Pairs of people who seem to be one."""
    counts = np.bincount(faces.identity_index, minlength=len(faces.names))
    many = np.flatnonzero(counts >= settings.min_crops)
    people = _unit(_sums(faces)[many])
    findings = []
    for left, right in _pairs_from(people, settings.min_split):
        first, second = int(many[left]), int(many[right])
        similarity = float(people[left] @ people[right])
        note = f"{faces.names[first]} and {faces.names[second]} are {similarity:.2f} alike"
        pictures = (_some_of(faces, first), _some_of(faces, second))
        findings.append(Finding(Kind.SPLIT, *pictures, similarity, note))
    return sorted(findings, key=lambda finding: -finding.similarity)


def two_groups(embeddings: Embeddings) -> tuple[NDArray[np.bool_], float]:
    """Spherical 2-means from the two crops that are farthest out: who is in the first, and their likeness.

    Args:
        embeddings: (N, D) unit rows, N at least 2.
    """
    first = embeddings[(embeddings @ embeddings.sum(axis=0)).argmin()]
    second = embeddings[(embeddings @ first).argmin()]
    for _ in range(_ROUNDS):
        is_first: NDArray[np.bool_] = embeddings @ first > embeddings @ second
        if is_first.all() or not is_first.any():
            return is_first, 1.0
        first, second = (_unit(embeddings[some].sum(axis=0)) for some in (is_first, ~is_first))
    return is_first, float(first @ second)


class _Groups:
    """Which rows hang together (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, left: int, right: int) -> None:
        self._parents[self._root(right)] = self._root(left)

    def all(self) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for row in range(len(self._parents)):
            groups.setdefault(self._root(row), []).append(row)
        return list(groups.values())

    def _root(self, row: int) -> int:
        while self._parents[row] != row:
            self._parents[row] = self._parents[self._parents[row]]
            row = self._parents[row]
        return row


def _copies(kind: Kind, group: Sequence[int], faces: Labelled, closeness: Closeness) -> Finding:
    kept = max(group, key=lambda row: (float(closeness.own[row]), -row))
    rest = tuple(row for row in group if row != kept)
    people = sorted({faces.names[faces.identity_index[row]] for row in group})
    similarity = float(min(faces.embeddings[kept] @ faces.embeddings[row] for row in rest))
    note = f"{len(group)} of {', '.join(people)}" + ("; which of them is it?" if len(people) > 1 else "")
    return Finding(kind, rest, (kept,), similarity, note)


def _each_crop_once(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings, each without the crops of earlier ones."""
    seen: set[int] = set()
    for finding in findings:
        crops = tuple(row for row in finding.crops if row not in seen)
        seen.update(crops)
        if crops:
            yield Finding(finding.kind, crops, finding.beside, finding.similarity, finding.note)


def _pairs_from(vectors: FloatArray, min_similarity: float) -> Iterator[tuple[int, int]]:
    """Every two rows that are this alike, each pair once."""
    for start in range(0, len(vectors), BLOCK):
        alike = vectors[start : start + BLOCK] @ vectors[start:].T >= min_similarity
        for left, right in np.argwhere(np.triu(alike, k=1)).tolist():
            yield start + left, start + right


def _some_of(faces: Labelled, person: int, *, without: int = -1) -> tuple[int, ...]:
    """The person's crops that are most like the whole of them."""
    rows = np.flatnonzero(faces.identity_index == person)
    rows = rows[rows != without]
    typical = faces.embeddings[rows] @ faces.embeddings[rows].sum(axis=0)
    return tuple(rows[np.argsort(-typical, kind="stable")][:SHOWN_BESIDE].tolist())


def _sums(faces: Labelled) -> FloatArray:
    sums = np.zeros((len(faces.names), faces.embeddings.shape[1]), np.float32)
    np.add.at(sums, faces.identity_index, faces.embeddings)
    return sums


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _check(faces: Labelled, hashes: Sequence[str]) -> None:
    count = len(faces.embeddings)
    if faces.embeddings.ndim != 2 or faces.identity_index.shape != (count,) or len(hashes) != count:
        raise ShapeError(
            f"expected a label and a hash for each embedding, got {faces.embeddings.shape}, "
            f"{faces.identity_index.shape}, {len(hashes)}"
        )
    if len(faces.names) < 2 or (faces.identity_index < 0).any():
        raise InputError(
            f"cleaning compares people: expected at least two, and nobody unknown, got {len(faces.names)}"
        )
