"""A person with everything that is stored of them: what travels from one gallery to another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from vultus.gallery.encoding import Face
from vultus.gallery.rows import PersonRow, digest


@dataclass(frozen=True, slots=True)
class Record:
    """A person, and their templates with their crops, oldest first; at least one."""

    person: PersonRow
    faces: Sequence[Face]

    def digest(self) -> bytes:
        """16 bytes that are equal in two galleries if all is equal but the numbers of the templates."""
        parts = [replace(row, id=0).sealed().checksum for row, _ in self.faces]
        return digest("record", self.person.sealed().checksum, *parts)

    def without_crops(self) -> Self:
        """The same for a gallery that keeps no pictures."""
        return replace(self, faces=[(replace(row, crop_digest=None), None) for row, _ in self.faces])
