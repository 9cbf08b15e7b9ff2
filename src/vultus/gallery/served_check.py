"""Finding and verifying the rows of a gallery that lives in a server."""

from collections import Counter
from collections.abc import Iterable

from vultus.errors import GalleryError
from vultus.gallery.contract import check_contract
from vultus.gallery.damage import Damage, damaged_crop, damaged_entry, damaged_person, damaged_template
from vultus.gallery.doctor import Checkup
from vultus.gallery.encoding import Face
from vultus.gallery.names import is_id, name_key
from vultus.gallery.refusals import check_spelling, nobody
from vultus.gallery.rows import PersonRow, TemplateRow, is_crop_of
from vultus.gallery.store import StoreReader
from vultus.types import FloatArray

BATCH = 200  # people whose templates and crops are held at once


def served_error(where: str, damage: Damage) -> GalleryError:
    """The error to raise for a damaged row."""
    return GalleryError(
        f"gallery {where}: damaged: {damage}. `vultus gallery check` lists all that is; restore it from a "
        "backup of the server, or remove it and enrol the photo again"
    )


def intact(person: PersonRow, *, where: str) -> PersonRow:
    """The same person.

    Raises:
        GalleryError: the row is damaged.
    """
    if not person.is_intact:
        raise served_error(where, damaged_person(person))
    return person


def named(reader: StoreReader, display: str, *, where: str) -> PersonRow | None:
    """The person of exactly this name, in its stored form; None where there is nobody of that name.

    Raises:
        GalleryError: somebody's name looks alike, or the row is damaged.
    """
    person = reader.namesake(name_key(display))
    if person is not None:
        check_spelling(intact(person, where=where), display)
    return person


def with_id(reader: StoreReader, identity_id: str, *, where: str) -> PersonRow:
    """The person of this id.

    Raises:
        NotEnrolledError: there is nobody.
        GalleryError: the row is damaged.
    """
    person = next(reader.people([identity_id]), None) if is_id(identity_id) else None
    if person is None:
        raise nobody(identity_id, where=where)
    return intact(person, where=where)


def verified(template: TemplateRow, person: PersonRow | None, *, contract: str, where: str) -> FloatArray:
    """(D,) the vector of a template that is intact, of this contract, and that person's.

    Raises:
        GalleryError: it is not.
    """
    if person is None:
        raise served_error(where, damaged_template(template, reason="there is no such person"))
    if not template.is_intact:
        raise served_error(where, damaged_template(template, person.name))
    check_contract(where, stored=template.contract, given=contract)
    return template.embedding


def check_count(person: PersonRow, count: int, *, where: str) -> None:
    """Notice a lost template, which leaves no row that could be found wrong.

    Raises:
        GalleryError: a person has not as many templates as were written.
    """
    for damage in _miscounted(person, count):
        raise served_error(where, damage)


def verified_faces(person: PersonRow, faces: Iterable[Face], *, where: str) -> list[Face]:
    """All templates of one person, with their crops.

    Raises:
        GalleryError: one is damaged or missing.
    """
    found = list(faces)
    for face in found:
        for damage in _damage_of(face, person):
            raise served_error(where, damage)
    check_count(person, len(found), where=where)
    return found


def check_store(reader: StoreReader) -> Checkup:
    """Read and verify everything in a gallery."""
    people = list(reader.people())
    damaged = [damaged_person(person) for person in people if not person.is_intact]
    names = Counter(person.name_key for person in people)
    reason = "somebody else has a name that looks alike"
    damaged += [damaged_person(person, reason) for person in people if names[person.name_key] > 1]
    intact = [person for person in people if person.is_intact]
    templates = 0
    for start in range(0, len(intact), BATCH):
        batch = {person.id: person for person in intact[start : start + BATCH]}
        counts = dict.fromkeys(batch, 0)
        for face in reader.faces(list(batch)):
            found = _damage_of(face, batch[face[0].identity_id])
            damaged += found
            counts[face[0].identity_id] += 1
            templates += face[0].is_intact
        for person in batch.values():
            damaged += _miscounted(person, counts[person.id])
    damaged += [damaged_entry(entry) for entry in reader.audit() if not entry.is_intact]
    return Checkup(len(intact), templates, tuple(damaged))


def _damage_of(face: Face, person: PersonRow) -> list[Damage]:
    row, crop = face
    if not row.is_intact:
        return [damaged_template(row, person.name)]
    return [] if is_crop_of(row, crop) else [damaged_crop(row, person.name)]


def _miscounted(person: PersonRow, count: int) -> list[Damage]:
    if count == person.template_count:
        return []
    reason = f"{person.template_count} templates were written, there are {count}"
    return [damaged_person(person, reason)]
