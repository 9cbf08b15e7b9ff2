"""From one gallery to another, whichever engines keep them: `vultus gallery copy`.

People are copied whole (id, name, metadata, times, templates, crops), a few hundred in each transaction.
Whoever is in the target already, and is the same there, is passed over: so a copy that was interrupted is
finished by starting it again. In the end the target is read back and everybody's digest compared with that
of the source, and a sample of faces is looked for in both galleries, which must answer the same.

The calibration goes along; the audit log stays with the gallery that it tells of.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vultus.errors import GalleryError
from vultus.gallery.engine import DurableGallery
from vultus.gallery.names import name_key
from vultus.gallery.record import Record
from vultus.gallery.served import ServedGallery
from vultus.types import Candidate, Embeddings

PER_TRANSACTION = 500  # people
TOP_K = 3  # people compared of each answer


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did.

    Attributes:
        people: how many were written.
        templates: how many were written.
        already: people who were in the target already, and the same there.
        compared: faces looked for in both galleries, which answered the same.
    """

    people: int
    templates: int
    already: int
    compared: int


def copy_gallery(
    source: DurableGallery, target: DurableGallery, *, crops: bool = True, sample: int = 200
) -> Copied:
    """Add everybody of a gallery to another one, and verify that they arrived.

    Args:
        source: is only read.
        target: may hold other people already, under the same contract.
        crops: whether the target keeps them; must be as it was opened.
        sample: so many faces are looked for in both. They are not where the target holds other people, too.

    Raises:
        GalleryError: somebody has the id or name of somebody else in the target (nothing was changed then),
            something in the source is damaged, or what arrived is not what was sent.
    """
    there = {person.id for person in target.people()}
    strangers = _check_names(source, target)
    digests: dict[str, bytes] = {}
    people = templates = 0
    for batch in _batches(source, crops=crops):
        digests |= {record.person.id: record.digest() for record in batch}
        new = [record for record in batch if record.person.id not in there]
        if new:
            target.add_records(new)
        people += len(new)
        templates += sum(len(record.faces) for record in new)
    _check_arrived(target, digests)
    calibration = source.calibration()
    if calibration is not None:
        target.set_calibration(calibration)
    compared = 0 if strangers else _check_answers(source, target, sample=sample)
    return Copied(people, templates, len(digests) - people, compared)


def _check_names(source: DurableGallery, target: DurableGallery) -> int:
    """Refuse a copy that would stop half way; how many people of the target are not of the source."""
    ids = {name_key(person.name): person.id for person in source.people()}
    others = [person for person in target.people() if person.id not in set(ids.values())]
    for person in others:
        if name_key(person.name) in ids:
            raise GalleryError(
                f"'{person.name}' is in {target.uri} already, as another person ({person.id}) than in "
                f"{source.uri} ({ids[name_key(person.name)]}). Nothing was changed; rename one of them"
            )
    return len(others)


def _batches(source: DurableGallery, *, crops: bool) -> Iterator[list[Record]]:
    """Everybody who has templates, as they will be in the target."""
    batch: list[Record] = []
    for record in source.records():
        batch.append(record if crops else record.without_crops())
        if len(batch) == PER_TRANSACTION:
            yield batch
            batch = []
    if batch:
        yield batch


def _check_arrived(target: DurableGallery, digests: dict[str, bytes]) -> None:
    missing = dict(digests)
    for record in target.records():
        sent = missing.pop(record.person.id, None)
        if sent is not None and sent != record.digest():
            raise GalleryError(
                f"'{record.person.name}' ({record.person.id}) is not in {target.uri} as in the source. If "
                "nobody changed them meanwhile, remove the person there and copy again"
            )
    if missing:
        raise GalleryError(f"{len(missing)} people did not arrive in {target.uri}; copy again")


def _check_answers(source: DurableGallery, target: DurableGallery, *, sample: int) -> int:
    probes = _probes(source, sample)
    if not len(probes):
        return 0
    pairs = zip(_exact(source, probes), _exact(target, probes), strict=True)
    differing = sum(mine != theirs for mine, theirs in pairs)
    if differing:
        raise GalleryError(
            f"{differing} of {len(probes)} faces are answered otherwise in {target.uri} than in "
            f"{source.uri}; if nobody changed them meanwhile, do not use the copy, and report this"
        )
    return len(probes)


def _probes(source: DurableGallery, sample: int) -> Embeddings:
    """(N, D) embeddings of people all over the list."""
    people = source.people()
    chosen = people[:: max(1, len(people) // max(1, sample))][:sample]
    vectors = [source.templates(person.id)[0].embedding for person in chosen]
    return np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)


def _exact(gallery: DurableGallery, probes: Embeddings) -> list[tuple[Candidate, ...]]:
    if isinstance(gallery, ServedGallery):
        return gallery.search(probes, top_k=TOP_K, exact=True)
    return gallery.search(probes, top_k=TOP_K)
