"""The gallery's doctor: who is enrolled twice, whose photo stands under a wrong name, who confuses whom.

Every template is taken out and compared with all others (leave-one-out). With own(t) the similarity of t to
the closest other template of its person, other(t) that to the closest template of anybody else, and the
threshold of one comparison:

    duplicate     most templates of two people have other(t) >= threshold, each with the other person
    mislabelled   other(t) >= threshold, and own(t) is lower: t belongs to the other person
    stray         own(t) < threshold, though the person has other templates, and nobody else is close
    poor crop     blurred, or of low quality when it was enrolled: it resembles everybody
    confused      the closest pairs of people otherwise: relatives, lookalikes
    few samples   people with fewer templates than advised

Each finding names the command that mends it. Two people who were looked at and are different
(`mark_different`) are not reported again. Every engine's gallery can be examined.
"""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.gallery.engine import DurableGallery
from vultus.gallery.settings import delete_setting, read_settings, write_setting
from vultus.gallery.sqlite import SqliteGallery
from vultus.image import decode_png
from vultus.quality import MIN_SHARPNESS, sharpnesses
from vultus.types import Embeddings, Identity

BLOCK: Final = 512  # templates compared with all others at once
MAX_CONFUSED: Final = 20
MIN_QUALITY: Final = 0.3
ADVISED_SAMPLES: Final = 2

Pair = frozenset[str]  # two ids


class Kind(StrEnum):
    """What may be wrong, the gravest first."""

    MISLABELLED = "mislabelled"
    DUPLICATE = "duplicate"
    STRAY = "stray"
    POOR_CROP = "poor_crop"
    CONFUSED = "confused"
    FEW_SAMPLES = "few_samples"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that deserves a look.

    Attributes:
        kind: what it is.
        people: whom it concerns, the person of the template first.
        templates: id of the person and number of the template, of each picture that shows it.
        similarity: that gave rise to it; None where none did.
        reason: in words.
        commands: that mend it, one of them to be chosen.
    """

    kind: Kind
    people: tuple[Identity, ...]
    templates: tuple[tuple[str, int], ...]
    similarity: float | None
    reason: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an examination found.

    Attributes:
        people: how many were looked at.
        templates: how many.
        min_similarity: the threshold.
        findings: the gravest kind first, and the closest similarity first within a kind.
    """

    people: int
    templates: int
    min_similarity: float
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Faces:
    """All templates, person after person."""

    people: list[Identity] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)  # of each template, a position in `people`
    number: list[int] = field(default_factory=list)
    blur: list[str] = field(default_factory=list)  # why its picture is poor; empty where it is not
    vectors: list[NDArray[np.float32]] = field(default_factory=list)

    def template(self, row: int) -> tuple[str, int]:
        return self.people[self.owner[row]].id, self.number[row]


@dataclass(frozen=True, slots=True, eq=False)
class _Closest:
    """Of each template: the closest of its own person, and the closest of anybody else."""

    own: NDArray[np.float32]  # (T,) similarity, -inf where there is no other
    other: NDArray[np.float32]  # (T,)
    other_row: NDArray[np.intp]  # (T,) which template that is


def examine(
    gallery: DurableGallery,
    *,
    min_similarity: float,
    different: Iterable[Pair] = (),
    advised_samples: int = ADVISED_SAMPLES,
    min_quality: float = MIN_QUALITY,
) -> Diagnosis:
    """Look for what is wrong with the people of a gallery, whichever engine keeps it.

    Args:
        gallery: of which everything is read once; comparing takes templates x templates.
        min_similarity: from which two faces count as one person in one comparison.
        different: pairs of ids of whom it is known that they are two people (`known_different`).
        advised_samples: people with fewer templates are reported.
        min_quality: templates below are reported.

    Raises:
        GalleryError: a row is damaged.
    """
    faces = _read(gallery, min_quality=min_quality)
    if not faces.people:
        return Diagnosis(0, 0, min_similarity, ())
    closest = _closest(np.stack(faces.vectors), np.asarray(faces.owner))
    known = set(different)
    suffix = f" --gallery {shlex.quote(gallery.uri)}"
    pairs = _closest_pairs(faces, closest, min_similarity)
    twice = {pair for pair, one in pairs.items() if one.is_duplicate}
    findings = [
        *_misplaced(faces, closest, min_similarity, known | twice),
        *_pairs(faces, pairs, min_similarity, known),
        *_poor(faces),
        *_few(faces.people, advised_samples),
    ]
    order = list(Kind)
    findings.sort(key=lambda one: (order.index(one.kind), -(one.similarity or 0.0)))
    return Diagnosis(
        people=len(faces.people),
        templates=len(faces.number),
        min_similarity=min_similarity,
        findings=tuple(
            replace(one, commands=tuple(command + suffix for command in one.commands)) for one in findings
        ),
    )


def known_different(gallery: SqliteGallery) -> set[Pair]:
    """Pairs of ids that were marked as two different people."""
    with gallery.database.reading() as connection:
        names = [name for name, _ in read_settings(connection, "different/*", path=gallery.path)]
    return {frozenset(name.split("/")[1:]) for name in names}


def mark_different(
    gallery: SqliteGallery, first_id: str, second_id: str, *, are_different: bool = True
) -> None:
    """Remember, or forget again, that two people who look alike are not the same person.

    Raises:
        InputError: twice the same person.
        GalleryError: no such person.
    """
    if first_id == second_id:
        raise InputError("a person is never another than themselves: name two people")
    people = sorted(gallery.find(one).id for one in (first_id, second_id))
    with gallery.database.writing() as connection:
        if are_different:
            write_setting(connection, f"different/{people[0]}/{people[1]}", "")
        else:
            delete_setting(connection, f"different/{people[0]}/{people[1]}")


def _read(gallery: DurableGallery, *, min_quality: float) -> _Faces:
    faces = _Faces()
    for record in gallery.records():
        faces.people.append(record.person.identity())
        for row, crop in record.faces:
            faces.owner.append(len(faces.people) - 1)
            faces.number.append(row.id)
            faces.vectors.append(row.embedding)
            faces.blur.append(_blur(crop, row.quality, min_quality))
    return faces


def _blur(crop: bytes | None, quality: float, min_quality: float) -> str:
    """Why a face is poor, or nothing."""
    if quality < min_quality:
        return f"its quality was {quality:.2f} when it was enrolled; {min_quality:.2f} or more is advised"
    if crop is None:
        return ""
    sharpness = float(sharpnesses(decode_png(crop)[np.newaxis])[0])
    if sharpness >= MIN_SHARPNESS:
        return ""
    return f"its sharpness is {sharpness:.2f}; below {MIN_SHARPNESS:.2f} faces resemble everybody"


def _closest(rows: Embeddings, owner: NDArray[np.intp]) -> _Closest:
    own, other = np.empty((2, len(rows)), np.float32)
    other_row = np.zeros(len(rows), np.intp)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        scores = rows[block] @ rows.T  # (B, T)
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -np.inf  # not with itself
        is_own = owner[block, np.newaxis] == owner
        own[block] = np.where(is_own, scores, -np.inf).max(axis=1)
        scores[is_own] = -np.inf
        other_row[block] = scores.argmax(axis=1)
        other[block] = scores.max(axis=1)
    return _Closest(own, other, other_row)


def _misplaced(faces: _Faces, closest: _Closest, threshold: float, known: set[Pair]) -> Iterable[Finding]:
    """Templates under a wrong name, and those that look like nobody."""
    for row, (own, other) in enumerate(zip(closest.own, closest.other, strict=True)):
        if own == -np.inf:
            continue  # the only template of its person: with what should it agree?
        person = faces.people[faces.owner[row]]
        there = int(closest.other_row[row])
        neighbour = faces.people[faces.owner[there]]
        number = faces.number[row]
        remove = f"vultus people remove-template {shlex.quote(person.name)} {number}"
        if other >= threshold and other > own and frozenset((person.id, neighbour.id)) not in known:
            move = f"vultus people move {shlex.quote(person.name)} {number} {shlex.quote(neighbour.name)}"
            reason = (
                f"template {number} of '{person.name}' looks more like '{neighbour.name}' ({other:.3f}) than "
                f"like the rest of '{person.name}' ({own:.3f})"
            )
            shown = (faces.template(row), faces.template(there))
            yield Finding(Kind.MISLABELLED, (person, neighbour), shown, float(other), reason, (move, remove))
        elif own < threshold and other < threshold:
            reason = f"template {number} of '{person.name}' looks like none of the others ({own:.3f} at best)"
            yield Finding(Kind.STRAY, (person,), (faces.template(row),), float(own), reason, (remove,))


@dataclass(slots=True)
class _ClosePair:
    """Two people, by the closest of their templates."""

    similarity: float
    rows: tuple[int, int]
    is_duplicate: bool = False


def _closest_pairs(faces: _Faces, closest: _Closest, threshold: float) -> dict[Pair, _ClosePair]:
    """All pairs of which one is somebody's closest other person."""
    pairs: dict[Pair, _ClosePair] = {}
    agreeing: dict[Pair, Counter[int]] = defaultdict(Counter)
    for row, similarity in enumerate(closest.other):
        if similarity == -np.inf:
            continue  # there is only one person
        there = int(closest.other_row[row])
        pair = frozenset(faces.people[faces.owner[one]].id for one in (row, there))
        if pair not in pairs or similarity > pairs[pair].similarity:
            pairs[pair] = _ClosePair(float(similarity), (row, there))
        agreeing[pair][faces.owner[row]] += int(similarity >= threshold)
    for pair, one in pairs.items():
        people = {faces.owner[row] for row in one.rows}
        one.is_duplicate = all(
            agreeing[pair][person] > faces.people[person].template_count / 2 for person in people
        )
    return pairs


def _pairs(
    faces: _Faces, pairs: Mapping[Pair, _ClosePair], threshold: float, known: set[Pair]
) -> Iterable[Finding]:
    """People who are probably one, and those who come closest to it."""
    confused: list[Finding] = []
    for pair, one in pairs.items():
        if pair in known:
            continue
        people = tuple(faces.people[faces.owner[row]] for row in one.rows)
        shown = tuple(faces.template(row) for row in one.rows)
        names = [shlex.quote(person.name) for person in people]
        told = f"'{people[0].name}' and '{people[1].name}'"
        differ = f"vultus people differ {names[0]} {names[1]}"
        numbers = f"{one.similarity:.3f}, threshold {threshold:.3f}"
        if one.is_duplicate:
            merge = f"vultus people merge {names[0]} {names[1]}"
            reason = f"{told} look like one person: {numbers}"
            yield Finding(Kind.DUPLICATE, people, shown, one.similarity, reason, (merge, differ))
        else:
            reason = f"{told} come close: {numbers}"
            confused.append(Finding(Kind.CONFUSED, people, shown, one.similarity, reason, (differ,)))
    yield from sorted(confused, key=lambda finding: -(finding.similarity or 0.0))[:MAX_CONFUSED]


def _poor(faces: _Faces) -> Iterable[Finding]:
    for row, blur in enumerate(faces.blur):
        if blur:
            person, number = faces.people[faces.owner[row]], faces.number[row]
            reason = f"template {number} of '{person.name}' is poor: {blur}"
            remove = f"vultus people remove-template {shlex.quote(person.name)} {number}"
            yield Finding(Kind.POOR_CROP, (person,), (faces.template(row),), None, reason, (remove,))


def _few(people: Sequence[Identity], advised: int) -> Iterable[Finding]:
    for person in people:
        if person.template_count < advised:
            reason = f"'{person.name}' has {person.template_count} template; {advised} or more are advised"
            enrol = f"vultus enrol {shlex.quote(person.name)} PHOTO"
            yield Finding(Kind.FEW_SAMPLES, (person,), (), None, reason, (enrol,))
