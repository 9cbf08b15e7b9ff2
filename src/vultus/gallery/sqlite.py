"""The embedded gallery: one SQLite file, several processes, nothing lost.

Every change is one transaction, on the disk before the call returns, with an entry in the audit log. A
search is exact and runs over an in-memory copy of all vectors, which follows the changes of other threads
and other processes: a search sees everything that was committed before it began.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from vultus.gallery.archive import export_archive
from vultus.gallery.archive_import import Imported, OnConflict, import_archive
from vultus.gallery.contract import check_contract, contract_for, first_template
from vultus.gallery.damage import Damage, damaged_entry, damaged_person, gallery_error
from vultus.gallery.database import Database
from vultus.gallery.doctor import Checkup, check_file
from vultus.gallery.encoding import check_count, decoded, encoded_all, read_faces, write_faces
from vultus.gallery.follower import Follower
from vultus.gallery.journal import AuditEntry, note, note_gallery, now, read_audit
from vultus.gallery.names import checked_metadata, checked_name, is_id, name_key
from vultus.gallery.record import Record
from vultus.gallery.refusals import check_free, check_removable, check_spelling, nobody, nobody_called
from vultus.gallery.rows import PersonRow, delete_person, read_people, read_templates, save_person
from vultus.gallery.salvage import salvage as copy_intact
from vultus.gallery.settings import read_calibration, write_calibration
from vultus.gallery.sqlite_records import read_records, write_records
from vultus.gallery.stats import GalleryStats, read_stats
from vultus.match import Aggregate
from vultus.types import Calibration, Candidate, Embeddings, Identity, Template


class SqliteGallery:
    """A durable `Gallery` in one file. Safe to use from several threads, and from several processes.

    Args:
        path: the file; an empty gallery is made if it is missing (unless `read_only` or `salvage`).
        contract: of the embeddings that will come. A gallery has the contract of the templates in it, so
            an empty one takes this; None takes what is stored.
        keep_crops: store the aligned crops, so that another embedder can re-embed them later.
        read_only: refuse every change.
        salvage: read what is intact of a damaged file, from a temporary copy; implies `read_only`. What is
            not intact stands in `damaged`.
        actor: who makes the changes, for the audit log.
        key: of an encrypted gallery; None takes the one that the environment names (see `keys.py`).

    Attributes:
        database: the file, for what is done to it as a whole: encryption, erasure, migration.
        damaged: what `salvage` found not intact.

    Raises:
        GalleryError: the file cannot be opened or made, is damaged, is no gallery, has another contract, or
            is encrypted with another key.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        contract: str | None = None,
        keep_crops: bool = True,
        read_only: bool = False,
        salvage: bool = False,
        actor: str = "",
        key: bytes | None = None,
    ) -> None:
        self.path = Path(fspath(path))
        self.damaged: tuple[Damage, ...] = ()
        self._keep_crops, self.actor = keep_crops, actor
        self._contract = contract or ""
        with ExitStack() as stack:
            source = self.path
            if salvage:
                source = Path(stack.enter_context(TemporaryDirectory(prefix="vultus-"))) / "salvaged.db"
                self.damaged = copy_intact(self.path, source).damaged
            self.database = Database(source, read_only=read_only or salvage, key=key)
            stack.callback(self.database.close)
            self._check_contract()
            self._closing = stack.pop_all()
        self._follower = Follower(self.database, contract=self._contract)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Whatever is called afterwards raises GalleryError; closing twice is no mistake."""
        self._closing.close()

    @property
    def uri(self) -> str:
        """Where the gallery is: its path."""
        return str(self.path)

    @property
    def contract(self) -> str:
        """The contract of every embedding in this gallery; empty while it holds none and was given none."""
        with self.database.reading() as connection:
            first = first_template(connection, path=self.path)
        return self._contract if first is None else first.contract

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
        with self.database.writing() as connection:
            dimension = faces[0][0].dimension
            contract = contract_for(connection, path=self.path, given=self._contract, dimension=dimension)
            known = self._named(connection, display)
            person = known or PersonRow(uuid.uuid4().hex, display, name_key(display), "{}", now(), 0)
            person = replace(
                person,
                metadata=person.metadata if text is None else text,
                template_count=person.template_count + len(faces),
            )
            save_person(connection, person)
            write_faces(connection, faces, identity_id=person.id, contract=contract)
            self._note(connection, person, "enrol", f"{len(faces)} new, {person.template_count} in all")
        return person.identity()

    def remove(self, identity_id: str) -> None:
        """Delete a person and every template of theirs; their vectors and crops are overwritten on the disk.

        Raises:
            GalleryError: no such person, or their rows are damaged.
        """
        with self.database.writing() as connection:
            person = self._person(connection, identity_id)
            deleted = delete_person(connection, person)
            check_count(person, deleted, path=self.path)
            self._note(connection, person, "remove", f"{deleted} deleted")
        self.database.forget_deleted()

    def remove_template(self, identity_id: str, template_id: int) -> Identity:
        """Delete one template, a damaged one too; the ids are those of `template_ids`.

        Raises:
            GalleryError: no such person or template, or it is their last one: then remove the person.
        """
        with self.database.writing() as connection:
            person = self._person(connection, identity_id)
            check_removable(person, template_id, of=_template_ids(connection, person))
            connection.execute("DELETE FROM templates WHERE id = ?", (template_id,))
            person = replace(person, template_count=person.template_count - 1)
            save_person(connection, person)
            self._note(connection, person, "remove_template", f"template {template_id}")
        self.database.forget_deleted()
        return person.identity()

    def rename(self, identity_id: str, name: str) -> Identity:
        """Give a person another display name; the id stays.

        Raises:
            InputError: a name that cannot be stored.
            GalleryError: no such person, or the name is somebody else's.
        """
        display = checked_name(name)
        with self.database.writing() as connection:
            person = self._person(connection, identity_id)
            other = next(read_people(connection, "name_key = ?", name_key(display)), None)
            check_free(other, person)
            renamed = replace(person, name=display, name_key=name_key(display))
            save_person(connection, renamed)
            self._note(connection, renamed, "rename", f"was '{person.name}'")
        return renamed.identity()

    def set_metadata(self, identity_id: str, metadata: Mapping[str, Any]) -> Identity:
        """Replace a person's metadata.

        Raises:
            InputError: not a mapping that JSON can hold, or over 65,536 characters.
            GalleryError: no such person.
        """
        text = checked_metadata(metadata)
        with self.database.writing() as connection:
            person = replace(self._person(connection, identity_id), metadata=text)
            save_person(connection, person)
            self._note(connection, person, "set_metadata", "")
        return person.identity()

    def search(
        self,
        probes: Embeddings,
        *,
        top_k: int = 5,
        aggregate: Aggregate = "best",
        min_similarity: float = -1.0,
    ) -> list[tuple[Candidate, ...]]:
        """For each probe the closest people, best first: exact, one entry per person.

        Args:
            probes: (N, D) float32, rows of length 1.
            top_k: at most so many people for each probe.
            aggregate: a person is as close as their "best" template, or as all of them in the "mean".
            min_similarity: people further away are left out.

        Raises:
            ShapeError: the probes are not (N, D) unit rows, or of another D than the templates.
            InputError: `top_k` below 1, or an unknown `aggregate`.
            GalleryError: a row is damaged, or another process filled the gallery under another contract.
        """
        index = self._follower.index()
        return index.search(probes, top_k=top_k, aggregate=aggregate, min_similarity=min_similarity)

    def people(self) -> list[Identity]:
        """Everyone, by name.

        Raises:
            GalleryError: somebody's row is damaged.
        """
        with self.database.reading() as connection:
            rows = list(read_people(connection))
        intact = [self._intact(row) for row in rows]
        return [row.identity() for row in sorted(intact, key=lambda row: row.name_key)]

    def find(self, name_or_id: str) -> Identity:
        """The person of this name or id.

        Raises:
            InputError: what can be neither.
            GalleryError: no such person; a name that differs only in case is pointed out.
        """
        with self.database.reading() as connection:
            if is_id(name_or_id):
                return self._person(connection, name_or_id).identity()
            person = self._named(connection, checked_name(name_or_id))
        if person is None:
            raise nobody_called(name_or_id, where=self.path)
        return person.identity()

    def templates(self, identity_id: str) -> list[Template]:
        """The enrolled faces of one person, oldest first.

        Raises:
            GalleryError: no such person, or a template or crop of theirs is damaged.
        """
        with self.database.reading() as connection:
            faces = read_faces(connection, self._person(connection, identity_id), path=self.path)
        return [decoded(row, crop) for row, crop in faces]

    def template_ids(self, identity_id: str) -> list[int]:
        """The ids of a person's templates, oldest first: those of `templates`, in the same order.

        Raises:
            GalleryError: no such person.
        """
        with self.database.reading() as connection:
            return _template_ids(connection, self._person(connection, identity_id))

    def template_count(self) -> int:
        """How many templates a probe is compared with; cheap once the gallery has been searched."""
        return len(self._follower.index())

    def calibration(self) -> Calibration | None:
        """What similarities mean here, as stored for the contract of this gallery; None where nothing is.

        Raises:
            GalleryError: it is damaged.
        """
        with self.database.reading() as connection:
            first = first_template(connection, path=self.path)
            contract = self._contract if first is None else first.contract
            return read_calibration(connection, contract, path=self.path)

    def set_calibration(self, calibration: Calibration) -> None:
        """Store a calibration in place of an earlier one of the same contract.

        One of another contract than the gallery's is given out once the gallery has that contract.

        Raises:
            InputError: it names no contract.
        """
        with self.database.writing() as connection:
            write_calibration(connection, calibration)
            detail = f"{calibration.contract}: FMR {calibration.fmr:g}, FPIR {calibration.fpir:g}"
            note_gallery(connection, "set_calibration", actor=self.actor, detail=detail)

    def audit(self) -> list[AuditEntry]:
        """Who did what and when, oldest first; a damaged entry raises GalleryError."""
        with self.database.reading() as connection:
            entries = list(read_audit(connection))
        for entry in entries:
            if not entry.is_intact:
                raise gallery_error(self.path, damaged_entry(entry))
        return entries

    def stats(self) -> GalleryStats:
        """What the gallery holds."""
        with self.database.reading() as connection:
            return read_stats(connection, path=self.database.path)

    def export(self, path: str | PathLike[str], *, decrypted: bool = False) -> None:
        """Write everybody, as they are at this moment, into one file (see `archive.py` for what is in it).

        Args:
            path: the file; an existing one is replaced.
            decrypted: an encrypted gallery is exported only with this, for everybody to read.

        Raises:
            GalleryError: something is damaged, `path` is the gallery itself, or the gallery is encrypted.
            InputError: the place cannot be written.
        """
        vault = self.database.vault
        export_archive(self.database.path, Path(fspath(path)), vault=vault, decrypted=decrypted)

    def import_from(self, path: str | PathLike[str], *, on_conflict: OnConflict = "error") -> Imported:
        """Add everybody in an exported file: all in one transaction, with the ids and times they have there.

        Args:
            path: the file.
            on_conflict: about somebody whose id or name is there already: "error" changes nothing at all,
                "skip" keeps the gallery's, "replace" takes the file's.

        Raises:
            InputError: an unknown `on_conflict`.
            GalleryError: the file is damaged or of another contract, or there is a conflict.
        """
        return import_archive(
            self.database,
            Path(fspath(path)),
            contract=self._contract,
            on_conflict=on_conflict,
            keep_crops=self._keep_crops,
            actor=self.actor,
        )

    def records(self) -> Iterator[Record]:
        """Everyone with everything, in order of enrolment, verified; one state of the file, for copies."""
        self.database.check_usable()
        return read_records(self.database.path, vault=self.database.vault)

    def add_records(self, records: Sequence[Record]) -> None:
        """Add people who are not there yet, with the ids and times they have, all in one transaction."""
        write_records(
            self.database, records, contract=self._contract, keep_crops=self._keep_crops, actor=self.actor
        )

    def check(self) -> Checkup:
        """Read and verify every row, every crop and the structure of the file; others may go on meanwhile.

        Raises:
            GalleryError: the file cannot be read at all.
        """
        return check_file(self.path)

    def _check_contract(self) -> None:
        with self.database.reading() as connection:
            first = next(read_templates(connection), None)
        if first is not None and first.is_intact:  # a damaged one is reported by what would use it
            check_contract(self.path, stored=first.contract, given=self._contract)

    def _named(self, connection: sqlite3.Connection, display: str) -> PersonRow | None:
        """The person of exactly this name, in its stored form."""
        person = next(read_people(connection, "name_key = ?", name_key(display)), None)
        if person is None:
            return None
        check_spelling(self._intact(person), display)
        return person

    def _person(self, connection: sqlite3.Connection, identity_id: str) -> PersonRow:
        person = next(read_people(connection, "id = ?", identity_id), None) if is_id(identity_id) else None
        if person is None:
            raise nobody(identity_id, where=self.path)
        return self._intact(person)

    def _intact(self, person: PersonRow) -> PersonRow:
        if not person.is_intact:
            raise gallery_error(self.path, damaged_person(person))
        return person

    def _note(self, connection: sqlite3.Connection, person: PersonRow, action: str, detail: str) -> None:
        note(connection, person, action, actor=self.actor, detail=detail)


def _template_ids(connection: sqlite3.Connection, person: PersonRow) -> list[int]:
    query = "SELECT id FROM templates WHERE identity_id = ? ORDER BY id"
    return [row[0] for row in connection.execute(query, (person.id,))]
