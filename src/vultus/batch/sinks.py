"""Where faces go: into a gallery of any engine, each exactly once.

With `People.NONE` every face is an identity of its own. Its id is made of the photo's SHA-256 and the number
of the face, so the same face has the same id in every run and in every gallery; whether it arrived is asked
by it. With `People.FOLDER` a photo's one face is added to the person; its source ends with the photo's
SHA-256, by which it is found again. So no gallery needs to know of any of this.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final, Protocol

from vultus.batch.manifest import Content
from vultus.batch.work import FoundFace, PhotoFaces
from vultus.errors import NotEnrolledError
from vultus.gallery.encoding import decoded
from vultus.gallery.engine import DurableGallery
from vultus.gallery.names import checked_metadata, checked_name, name_key
from vultus.gallery.record import Record
from vultus.gallery.rows import PersonRow

_SHOWN_NAME: Final = 120  # characters of a photo's name that stand in the name of an identity
_SHOWN_DIGITS: Final = 16  # of its SHA-256


class Sink(Protocol):
    """Takes faces, durably: what `write` returned from survives a crash."""

    @property
    def photos_per_batch(self) -> int:
        """How many photos are best written at once."""
        ...

    @property
    def name(self) -> str:
        """What a manifest remembers it by."""
        ...

    @property
    def is_searchable(self) -> bool:
        """Whether `arrived` finds contents that were written under another manifest, too."""
        ...

    def is_empty(self) -> bool:
        """Whether nothing is in it yet."""
        ...

    def arrived(self, batch: int, contents: Sequence[Content]) -> set[str]:
        """The keys of those that are in it, whole; what is there of others is taken out again."""
        ...

    def write(self, batch: int, photos: Sequence[PhotoFaces]) -> None:
        """Add the faces of these photos, of which none is in it."""
        ...


class GallerySink:
    """A gallery as a `Sink`.

    Args:
        gallery: opened for writing, with the contract of the embeddings that come.
        contract: that one.
    """

    photos_per_batch: Final = 128
    is_searchable: Final = True

    def __init__(self, gallery: DurableGallery, *, contract: str) -> None:
        self._gallery, self._contract = gallery, contract

    @property
    def name(self) -> str:
        """The address; of a file, its name alone, so that it may be moved with its manifest."""
        return self._gallery.uri if "://" in self._gallery.uri else self._gallery.uri.rpartition("/")[2]

    def is_empty(self) -> bool:
        """Whether nobody is enrolled."""
        return self._gallery.stats().templates == 0

    def arrived(self, batch: int, contents: Sequence[Content]) -> set[str]:  # noqa: ARG002  nothing bears it
        """The keys of those whose faces are all there. Half a photo, which Milvus may leave, is taken out."""
        nobodies = (one for one in contents if not one.person)
        people = sorted({one.person for one in contents if one.person})
        there = {one.key for one in nobodies if self._is_whole(one)}
        digests = {person: self._digests_of(person) for person in people}
        return there | {one.key for one in contents if one.person and one.digest in digests[one.person]}

    def write(self, batch: int, photos: Sequence[PhotoFaces]) -> None:  # noqa: ARG002
        """Add the faces: strangers all in one transaction, those of a person in one for each person.

        Raises:
            GalleryError: the gallery refuses; or a person's folder is called almost like somebody in it.
        """
        strangers = [photo for photo in photos if not photo.person]
        records = [record for photo in strangers for record in records_of(photo, contract=self._contract)]
        if records:
            self._gallery.add_records(records)
        for person, faces in _by_person(photo for photo in photos if photo.person).items():
            self._gallery.enrol(person, [decoded(*one.face) for one in faces])

    def _is_whole(self, content: Content) -> bool:
        ids = [face_id(content.digest, number) for number in range(1, content.faces + 1)]
        there = [one for one in ids if self._is_there(one)]
        if len(there) == len(ids):
            return True
        for one in there:
            self._gallery.remove(one)
        return False

    def _is_there(self, identity_id: str) -> bool:
        try:
            self._gallery.find(identity_id)
        except NotEnrolledError:
            return False
        return True

    def _digests_of(self, person: str) -> set[str]:
        try:
            identity = self._gallery.find(person)
        except NotEnrolledError:
            return set()
        return {one.source.rpartition("sha256:")[2] for one in self._gallery.templates(identity.id)}


def face_id(digest: str, number: int) -> str:
    """The id of the face of this number, counted from 1, in the photo of this SHA-256."""
    return blake2b(f"{digest}/{number}".encode(), digest_size=16).hexdigest()


def records_of(photo: PhotoFaces, *, contract: str) -> Iterator[Record]:
    """Each face of a photo as an identity of its own, which tells in its metadata where it is to be seen."""
    for number, found in enumerate(photo.faces, start=1):
        row, crop = found.face
        name = _name_of(photo, number)
        person = PersonRow(
            face_id(photo.digest, number), name, name_key(name), _about(photo, number, found), row.created, 1
        )
        yield Record(person, [(replace(row, contract=contract, identity_id=person.id), crop)])


def _name_of(photo: PhotoFaces, number: int) -> str:
    """The file's name, with so much of the digest that no two faces are called alike."""
    file = photo.photo.name.rpartition("/")[2]
    shown = "".join(character if character.isprintable() else "_" for character in file)[-_SHOWN_NAME:]
    return checked_name(f"{shown} {photo.digest[:_SHOWN_DIGITS]}-{number}")


def _about(photo: PhotoFaces, number: int, found: FoundFace) -> str:
    box = [round(float(value), 1) for value in found.detection.boxes[0]]
    about = {"photo": photo.photo.name, "face": number, "box": box}
    return checked_metadata(about | {"score": round(float(found.detection.scores[0]), 4)})


def _by_person(photos: Iterable[PhotoFaces]) -> dict[str, list[FoundFace]]:
    found: dict[str, list[FoundFace]] = {}
    for photo in photos:
        found.setdefault(photo.person, []).extend(photo.faces)
    return found
