"""What every engine promises beyond `vultus.interfaces.Gallery`: SQLite, PostgreSQL and Milvus alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from vultus.gallery.doctor import Checkup
from vultus.gallery.journal import AuditEntry
from vultus.gallery.record import Record
from vultus.gallery.stats import GalleryStats
from vultus.interfaces import Gallery
from vultus.match import Aggregate
from vultus.types import Candidate, Embeddings, Identity


@runtime_checkable
class DurableGallery(Gallery, Protocol):
    """A `Gallery` that can be inspected, checked and copied."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def uri(self) -> str:
        """Where the gallery is: a path, or an address without any password."""
        ...

    def search(
        self,
        probes: Embeddings,
        *,
        top_k: int = 5,
        aggregate: Aggregate = "best",
        min_similarity: float = -1.0,
    ) -> list[tuple[Candidate, ...]]:
        """For each probe the closest people, best first, one entry per person."""
        ...

    def remove_template(self, identity_id: str, template_id: int) -> Identity:
        """Delete one template, but not a person's last one."""
        ...

    def set_metadata(self, identity_id: str, metadata: Mapping[str, Any]) -> Identity:
        """Replace a person's metadata."""
        ...

    def template_ids(self, identity_id: str) -> list[int]:
        """The ids of a person's templates, oldest first."""
        ...

    def audit(self) -> list[AuditEntry]:
        """Who did what and when, oldest first."""
        ...

    def stats(self) -> GalleryStats:
        """What the gallery holds."""
        ...

    def check(self) -> Checkup:
        """Read and verify every row and every crop."""
        ...

    def records(self) -> Iterator[Record]:
        """Everyone with everything, in order of enrolment, verified."""
        ...

    def add_records(self, records: Sequence[Record]) -> None:
        """Add people with the ids and times they have, all in one transaction."""
        ...
