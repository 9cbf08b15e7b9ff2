"""A gallery that lives in a database server: what it does, whichever server keeps its rows.

Names, contracts, checksums and messages are those of the SQLite gallery; nothing is kept in memory here, so
any number of clients may use one gallery, and each search sees what was committed before it began.
"""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

from vultus.errors import GalleryError
from vultus.gallery.contract import check_contract
from vultus.gallery.damage import damaged_entry, damaged_setting
from vultus.gallery.doctor import Checkup
from vultus.gallery.encoding import decoded, encoded_all
from vultus.gallery.journal import AuditEntry, now
from vultus.gallery.names import checked_metadata, checked_name, is_id, name_key
from vultus.gallery.record import Record
from vultus.gallery.refusals import (
    check_absent,
    check_free,
    check_removable,
    nobody_called,
)
from vultus.gallery.rows import PersonRow
from vultus.gallery.served_check import (
    check_count,
    check_store,
    intact,
    named,
    served_error,
    verified_faces,
    with_id,
)
from vultus.gallery.served_records import check_dimension, contract_for, read_records
from vultus.gallery.served_search import closest_people
from vultus.gallery.settings import calibration_name, calibration_setting
from vultus.gallery.stats import GalleryStats
from vultus.gallery.store import Question, Store, StoredContract, StoreReader, StoreWriter
from vultus.match import Aggregate, CosineIndex, calibration_from_json
from vultus.types import Calibration, Candidate, Embeddings, Identity, Template


class ServedGallery:
    """A durable `Gallery` over a store. Safe to use from several threads and from several machines.

    Args:
        store: keeps the rows.
        contract: of the embeddings that will come; None takes what is stored.
        keep_crops: store the aligned crops, so that another embedder can re-embed them later.
        read_only: refuse every change.
        actor: who makes the changes, for the audit log.

    Raises:
        GalleryError: the gallery has another contract.
    """

    def __init__(
        self,
        store: Store,
        *,
        contract: str | None = None,
        keep_crops: bool = True,
        read_only: bool = False,
        actor: str = "",
    ) -> None:
        self._store, self._contract = store, contract or ""
        self._keep_crops, self._read_only, self._actor = keep_crops, read_only, actor
        self._process, self._is_closed = os.getpid(), False
        try:
            with self._reading() as reader:
                self._check_contract(reader.contract())
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections. Whatever is called afterwards raises GalleryError."""
        self._check_process()
        self._is_closed = True
        self._store.close()

    @property
    def uri(self) -> str:
        """Where the gallery is, without any password."""
        return self._store.where

    @property
    def contract(self) -> str:
        """The contract of every embedding in this gallery; empty while it holds none and was given none."""
        with self._reading() as reader:
            return reader.contract().contract or self._contract

    def enrol(
        self, name: str, templates: Sequence[Template], *, metadata: Mapping[str, Any] | None = None
    ) -> Identity:
        """Add templates to the person of this name, who is created if new: all in one transaction.

        Args:
            name: up to 200 visible characters; stored in Unicode's NFC form, blanks around it cut off.
            templates: at least one; embeddings of this gallery's contract.
            metadata: a mapping that JSON can hold; replaces what was stored, None leaves it.

        Raises:
            InputError: no templates, or a name or metadata that cannot be stored.
            ShapeError: embeddings of another dimension than those in the gallery.
            GalleryError: the name differs from an existing one only in case or the like, the gallery has
                another contract or none yet, or cannot be written to.
        """
        display = checked_name(name)
        text = None if metadata is None else checked_metadata(metadata)
        faces = encoded_all(templates, keep_crops=self._keep_crops)
        with self._writing() as writer:
            given, dimension = self._contract, faces[0][0].dimension
            contract = contract_for(writer, given=given, dimension=dimension, where=self.uri)
            known = named(writer, display, where=self.uri)
            person = known or PersonRow(uuid.uuid4().hex, display, name_key(display), "{}", now(), 0)
            person = replace(
                person,
                metadata=person.metadata if text is None else text,
                template_count=person.template_count + len(faces),
            )
            writer.save_person(person)
            writer.add_faces(faces, identity_id=person.id, contract=contract)
            self._note(writer, person, "enrol", f"{len(faces)} new, {person.template_count} in all")
        return person.identity()

    def remove(self, identity_id: str) -> None:
        """Delete a person and every template of theirs.

        Raises:
            GalleryError: no such person, or their rows are damaged.
        """
        with self._writing() as writer:
            person = with_id(writer, identity_id, where=self.uri)
            deleted = writer.delete_person(person.id)
            check_count(person, deleted, where=self.uri)
            self._note(writer, person, "remove", f"{deleted} deleted")

    def remove_template(self, identity_id: str, template_id: int) -> Identity:
        """Delete one template, a damaged one too; the ids are those of `template_ids`.

        Raises:
            GalleryError: no such person or template, or it is their last one: then remove the person.
        """
        with self._writing() as writer:
            person = with_id(writer, identity_id, where=self.uri)
            check_removable(person, template_id, of=writer.template_ids(person.id))
            person = replace(person, template_count=person.template_count - 1)
            writer.save_person(person)
            writer.delete_template(template_id)
            self._note(writer, person, "remove_template", f"template {template_id}")
        return person.identity()

    def rename(self, identity_id: str, name: str) -> Identity:
        """Give a person another display name; the id stays.

        Raises:
            InputError: a name that cannot be stored.
            GalleryError: no such person, or the name is somebody else's.
        """
        display = checked_name(name)
        with self._writing() as writer:
            person = with_id(writer, identity_id, where=self.uri)
            other = writer.namesake(name_key(display))
            check_free(other, person)
            renamed = replace(person, name=display, name_key=name_key(display))
            writer.save_person(renamed)
            self._note(writer, renamed, "rename", f"was '{person.name}'")
        return renamed.identity()

    def set_metadata(self, identity_id: str, metadata: Mapping[str, Any]) -> Identity:
        """Replace a person's metadata.

        Raises:
            InputError: not a mapping that JSON can hold, or over 65,536 characters.
            GalleryError: no such person.
        """
        text = checked_metadata(metadata)
        with self._writing() as writer:
            person = replace(with_id(writer, identity_id, where=self.uri), metadata=text)
            writer.save_person(person)
            self._note(writer, person, "set_metadata", "")
        return person.identity()

    def search(
        self,
        probes: Embeddings,
        *,
        top_k: int = 5,
        aggregate: Aggregate = "best",
        min_similarity: float = -1.0,
        exact: bool = False,
    ) -> list[tuple[Candidate, ...]]:
        """For each probe the closest people, best first, one entry per person.

        Args:
            probes: (N, D) float32, rows of length 1.
            top_k: at most so many people for each probe.
            aggregate: a person is as close as their "best" template, or as all of them in the "mean".
            min_similarity: people further away are left out.
            exact: pass over an approximate index, if there is one; `stats()` tells.

        Raises:
            ShapeError: the probes are not (N, D) unit rows, or of another D than the templates.
            InputError: `top_k` below 1, or an unknown `aggregate`.
            GalleryError: a row that comes close is damaged, or the gallery has another contract.
        """
        CosineIndex().search(probes, top_k=top_k, aggregate=aggregate)  # refuses what is no question
        question = Question(top_k, aggregate, min_similarity, exact)
        with self._reading() as reader:
            stored = reader.contract()
            self._check_contract(stored)
            if not stored.templates:
                return [()] * len(probes)
            self._contract = stored.contract
            check_dimension(stored, probes.shape[1])
            return [
                closest_people(reader, probe, question, contract=stored.contract, where=self.uri)
                for probe in probes.astype("float32", copy=False)
            ]

    def people(self) -> list[Identity]:
        """Everyone, by name.

        Raises:
            GalleryError: somebody's row is damaged.
        """
        with self._reading() as reader:
            rows = [intact(row, where=self.uri) for row in reader.people()]
        return [row.identity() for row in sorted(rows, key=lambda row: row.name_key)]

    def find(self, name_or_id: str) -> Identity:
        """The person of this name or id.

        Raises:
            InputError: what can be neither.
            GalleryError: no such person; a name that differs only in case is pointed out.
        """
        with self._reading() as reader:
            if is_id(name_or_id):
                return with_id(reader, name_or_id, where=self.uri).identity()
            person = named(reader, checked_name(name_or_id), where=self.uri)
        if person is None:
            raise nobody_called(name_or_id, where=self.uri)
        return person.identity()

    def templates(self, identity_id: str) -> list[Template]:
        """The enrolled faces of one person, oldest first.

        Raises:
            GalleryError: no such person, or a template or crop of theirs is damaged.
        """
        with self._reading() as reader:
            person = with_id(reader, identity_id, where=self.uri)
            faces = verified_faces(person, reader.faces([person.id]), where=self.uri)
        return [decoded(row, crop) for row, crop in faces]

    def template_ids(self, identity_id: str) -> list[int]:
        """The ids of a person's templates, oldest first: those of `templates`, in the same order.

        Raises:
            GalleryError: no such person.
        """
        with self._reading() as reader:
            return reader.template_ids(with_id(reader, identity_id, where=self.uri).id)

    def template_count(self) -> int:
        """How many templates a probe is compared with."""
        with self._reading() as reader:
            return reader.contract().templates

    def calibration(self) -> Calibration | None:
        """What similarities mean here, as stored for the contract of this gallery; None where nothing is.

        Raises:
            GalleryError: it is damaged.
        """
        with self._reading() as reader:
            contract = reader.contract().contract or self._contract
            setting = reader.setting(calibration_name(contract)) if contract else None
        if setting is not None and not setting.is_intact:
            raise served_error(self.uri, damaged_setting(setting.name))
        return None if setting is None else calibration_from_json(setting.value)

    def set_calibration(self, calibration: Calibration) -> None:
        """Store a calibration in place of an earlier one of the same contract.

        One of another contract than the gallery's may be stored ahead of a migration; it is not given out
        before the gallery has that contract.

        Raises:
            InputError: it names no contract.
        """
        setting = calibration_setting(calibration)
        with self._writing() as writer:
            writer.save_setting(setting)
            detail = f"{calibration.contract}: FMR {calibration.fmr:g}, FPIR {calibration.fpir:g}"
            writer.note("set_calibration", actor=self._actor, detail=detail)

    def audit(self) -> list[AuditEntry]:
        """Who did what and when, oldest first.

        Raises:
            GalleryError: an entry is damaged.
        """
        with self._reading() as reader:
            entries = list(reader.audit())
        for entry in entries:
            if not entry.is_intact:
                raise served_error(self.uri, damaged_entry(entry))
        return entries

    def stats(self) -> GalleryStats:
        """What the gallery holds."""
        with self._reading() as reader:
            stored, counts = reader.contract(), reader.counts()
        n_bytes, version, index = self._store.size()
        return GalleryStats(
            **counts._asdict(),
            contract=stored.contract,
            dimension=stored.dimension,
            n_bytes=n_bytes,
            schema_version=version,
            index=index,
        )

    def check(self) -> Checkup:
        """Read and verify every row and every crop; others may go on meanwhile."""
        with self._reading() as reader:
            return check_store(reader)

    def records(self) -> Iterator[Record]:
        """Everyone with everything, in order of enrolment, verified: one state of the gallery.

        Raises:
            GalleryError: something is damaged.
        """
        with self._reading() as reader:
            yield from read_records(reader, where=self.uri)

    def add_records(self, records: Sequence[Record]) -> None:
        """Add people with the ids and times they have, all in one transaction.

        Raises:
            GalleryError: an id or a name is there already, or the contract is another.
            ShapeError: vectors of another dimension than those in the gallery.
        """
        kept = [record if self._keep_crops else record.without_crops() for record in records]
        with self._writing() as writer:
            check_absent(writer.present([record.person for record in kept]))
            for contract, dimension in {
                (row.contract, row.dimension) for one in kept for row, _ in one.faces
            }:
                check_contract(self.uri, stored=contract, given=self._contract)
                contract_for(writer, given=contract, dimension=dimension, where=self.uri)
            writer.add_people(kept, actor=self._actor)

    def _check_contract(self, stored: StoredContract) -> None:
        if stored.templates:
            check_contract(self.uri, stored=stored.contract, given=self._contract)

    def _note(self, writer: StoreWriter, person: PersonRow, action: str, detail: str) -> None:
        writer.note(action, actor=self._actor, detail=detail, of=(person.id, person.name))

    def _reading(self) -> AbstractContextManager[StoreReader]:
        self._check_usable()
        return self._store.reading()

    def _writing(self) -> AbstractContextManager[StoreWriter]:
        self._check_writable()
        return self._store.writing()

    def _check_writable(self) -> None:
        self._check_usable()
        if self._read_only:
            raise GalleryError(f"gallery {self.uri}: it was opened read-only")

    def _check_usable(self) -> None:
        self._check_process()
        if self._is_closed:
            raise GalleryError(f"gallery {self.uri}: it is closed; open it again")

    def _check_process(self) -> None:
        """Neither a connection nor its locks survive a fork."""
        if os.getpid() != self._process:
            raise GalleryError(
                f"gallery {self.uri}: it was opened in another process; after a fork, open it again"
            )
