"""People out of a server whole, for copies; and under which contract they go in."""

from collections.abc import Iterator

from vultus.errors import GalleryError, ShapeError
from vultus.gallery.contract import check_contract, without_contract
from vultus.gallery.encoding import Face
from vultus.gallery.record import Record
from vultus.gallery.served_check import BATCH, intact, verified_faces
from vultus.gallery.store import StoredContract, StoreReader, StoreWriter


def read_records(reader: StoreReader, *, where: str) -> Iterator[Record]:
    """Everyone, in order of enrolment, verified.

    Raises:
        GalleryError: something is damaged.
    """
    people = list(reader.people())
    for start in range(0, len(people), BATCH):
        batch = people[start : start + BATCH]
        faces: dict[str, list[Face]] = {person.id: [] for person in batch}
        for face in reader.faces(list(faces)):
            faces[face[0].identity_id].append(face)
        for person in batch:
            yield Record(intact(person, where=where), verified_faces(person, faces[person.id], where=where))


def contract_for(writer: StoreWriter, *, given: str, dimension: int, where: str) -> str:
    """The contract under which new vectors of this contract and dimension are stored.

    Raises:
        GalleryError: the gallery has another contract, or there is none to be had.
        ShapeError: the vectors in it have another dimension.
    """
    stored = writer.contract()
    if not stored.templates:
        if not given:
            raise GalleryError(without_contract(where))
        stored = StoredContract(given, dimension)
        writer.set_contract(stored)
    check_contract(where, stored=stored.contract, given=given)
    check_dimension(stored, dimension)
    return stored.contract


def check_dimension(stored: StoredContract, dimension: int) -> None:
    """Refuse vectors of another length than those in the gallery.

    Raises:
        ShapeError: they are.
    """
    if dimension != stored.dimension:
        raise ShapeError(
            f"expected embeddings of {stored.dimension} dimensions, like those in the gallery, "
            f"got {dimension}"
        )
