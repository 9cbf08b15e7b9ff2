"""What a database server must be able to do, for a gallery to live in it.

`ServedGallery` decides what a gallery does (names, contracts, checksums, who is whom); a store only keeps
rows. It reads one state, writes a transaction, and proposes the templates that are closest to a probe.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from vultus.gallery.encoding import Face
from vultus.gallery.journal import AuditEntry
from vultus.gallery.record import Record
from vultus.gallery.rows import PersonRow, TemplateRow
from vultus.gallery.settings import Setting
from vultus.match import Aggregate
from vultus.types import FloatArray


@dataclass(frozen=True, slots=True)
class StoredContract:
    """Of all the vectors in a gallery, and how many there are; empty and 0 while there are none."""

    contract: str = ""
    dimension: int = 0
    templates: int = 0


class Counts(NamedTuple):
    """How much a gallery holds; crops are templates that keep theirs."""

    people: int
    templates: int
    crops: int


class Near(NamedTuple):
    """A template that may be close: whose it is, and its similarity as the server computed it."""

    identity_id: str
    template_id: int
    similarity: float


class StoreReader(Protocol):
    """One state of a gallery, whatever others write meanwhile. Rows come as stored, damaged or not."""

    def contract(self) -> StoredContract:
        """Of the vectors in it. Cheap: it is asked at every search."""
        ...

    def people(self, identity_ids: Sequence[str] | None = None) -> Iterator[PersonRow]:
        """Everyone, or these, in order of enrolment."""
        ...

    def namesake(self, name_key: str) -> PersonRow | None:
        """Whoever has a name that is compared as this."""
        ...

    def template_ids(self, identity_id: str) -> list[int]:
        """Of one person, oldest first."""
        ...

    def faces(self, identity_ids: Sequence[str], *, crops: bool = True) -> Iterator[Face]:
        """The templates of these people, those of a person oldest first; without crops on demand."""
        ...

    def templates(self, template_ids: Sequence[int]) -> Iterator[TemplateRow]:
        """These templates, without crops."""
        ...

    def counts(self) -> Counts:
        """How much there is in the whole gallery."""
        ...

    def setting(self, name: str) -> Setting | None:
        """What belongs to the gallery under this name, intact or not."""
        ...

    def audit(self) -> Iterator[AuditEntry]:
        """The audit log, oldest first."""
        ...

    def nearest(self, probe: FloatArray, limit: int, *, exact: bool) -> list[Near]:
        """So many templates that are closest to a (D,) probe, best first; fewer where there are no more."""
        ...

    def nearest_on_average(self, probe: FloatArray, limit: int) -> list[tuple[str, float]]:
        """So many people who are closest in the mean over their templates, best first, with that mean."""
        ...


class StoreWriter(StoreReader, Protocol):
    """The same within a transaction, which is made durable as a whole or not at all."""

    def set_contract(self, contract: StoredContract) -> None:
        """State the contract of the first vectors that come."""
        ...

    def save_person(self, person: PersonRow) -> None:
        """Write a person, new or changed, with the checksum that belongs to it."""
        ...

    def add_faces(self, faces: Sequence[Face], *, identity_id: str, contract: str) -> None:
        """Give templates to a person who is there, under ids that no template has or had."""
        ...

    def present(self, people: Sequence[PersonRow]) -> list[PersonRow]:
        """Those in the gallery who have the id or the name of one of these people."""
        ...

    def add_people(self, records: Sequence[Record], *, actor: str) -> None:
        """Write new people with everything, many at once, with an entry each in the audit log."""
        ...

    def delete_person(self, identity_id: str) -> int:
        """Delete a person with their templates; the number of those that there were."""
        ...

    def delete_template(self, template_id: int) -> None:
        """Delete one template."""
        ...

    def save_setting(self, setting: Setting) -> None:
        """Write a setting in place of an earlier one of its name, with the checksum that belongs to it."""
        ...

    def note(self, action: str, *, actor: str, detail: str, of: tuple[str, str] = ("", "")) -> None:
        """Write into the audit log: this was done to the gallery, or to the person `of` this id and name."""
        ...


class Store(Protocol):
    """Keeps the rows of one gallery. Safe to use from several threads."""

    @property
    def where(self) -> str:
        """Names the gallery in messages; holds no password."""
        ...

    def reading(self) -> AbstractContextManager[StoreReader]:
        """Within: one state."""
        ...

    def writing(self) -> AbstractContextManager[StoreWriter]:
        """Within: one transaction; rolled back if anything is raised."""
        ...

    def size(self) -> tuple[int, int, str]:
        """Bytes on the server's disk, version of the tables, and how searches are answered, in words."""
        ...

    def close(self) -> None:
        """Release the connections; closing twice is no mistake."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is wanted of a search, apart from the probes."""

    top_k: int = 5
    aggregate: Aggregate = "best"
    min_similarity: float = -1.0
    exact: bool = False
