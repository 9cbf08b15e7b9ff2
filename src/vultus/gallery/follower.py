"""Keeps an index in memory in step with the file, whoever writes to it.

`PRAGMA data_version` tells within microseconds whether anybody has committed since the last look. Only then
the change log is read, and of the people it names only the templates that came or went.
"""

import sqlite3
import threading
from dataclasses import dataclass

from vultus.gallery.contract import check_contract
from vultus.gallery.damage import damaged_person, damaged_template, gallery_error
from vultus.gallery.database import Database
from vultus.gallery.encoding import check_count
from vultus.gallery.rows import PersonRow, TemplateRow, read_people, read_templates
from vultus.gallery.vault import vault_of
from vultus.match import CosineIndex
from vultus.types import FloatArray


@dataclass(frozen=True, slots=True)
class _Change:
    """What the index has to do to have a person as they are in the file."""

    person: PersonRow
    add: dict[int, FloatArray]
    remove: frozenset[int]


class Follower:
    """The templates of a gallery file in memory, each verified by its checksum when it is read.

    Args:
        database: the file.
        contract: that the vectors must have; empty takes the one that is found.
    """

    def __init__(self, database: Database, *, contract: str = "") -> None:
        self._database = database
        self._contract = contract
        self._index = CosineIndex()
        self._refreshing = threading.Lock()
        self._seen_version: int | None = None
        self._seen_change: int | None = None  # None: nothing has been read yet

    def index(self) -> CosineIndex:
        """The index, with every commit in it that was made before this call.

        Raises:
            GalleryError: a row is damaged, or of another contract; the index stays as it was.
        """
        self._database.check_usable()  # before a lock that a forked process would never get
        with self._refreshing:
            version = self._database.data_version()  # first: what is committed from here on is read twice
            if version != self._seen_version:
                with self._database.reading() as connection:
                    self._catch_up(connection)
                self._seen_version = version
            return self._index

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        first, last = connection.execute("SELECT min(seq), max(seq) FROM changes").fetchone()
        if self._seen_change is None or (first is not None and first > self._seen_change + 1):
            self._index = self._read_all(connection)
        else:
            self._follow(connection, self._seen_change)
        self._seen_change = last or 0

    def _read_all(self, connection: sqlite3.Connection) -> CosineIndex:
        index = CosineIndex()
        people = {person.id: self._intact(person) for person in read_people(connection)}
        count: int = connection.execute("SELECT count(*) FROM templates").fetchone()[0]
        for template in read_templates(connection):
            person = people.get(template.identity_id)
            if person is None:
                orphan = damaged_template(template, reason="there is no such person")
                raise gallery_error(self._database.path, orphan)
            vector = self._verified(connection, template, person)
            if not len(index):
                index.reserve(count, len(vector))
            index.put(person.id, person.name, add={template.id: vector})
        for person in people.values():
            check_count(person, len(index.template_ids(person.id)), path=self._database.path)
        return index

    def _follow(self, connection: sqlite3.Connection, seen: int) -> None:
        query = "SELECT DISTINCT identity_id FROM changes WHERE seq > ?"
        changed: list[str] = [row[0] for row in connection.execute(query, (seen,))]
        people = {one: next(read_people(connection, "id = ?", one), None) for one in changed}
        changes = [self._change(connection, person) for person in people.values() if person is not None]
        # Everything has been read and verified: from here on nothing can fail.
        for identity_id in (one for one, person in people.items() if person is None):
            self._index.drop(identity_id)
        for change in changes:
            self._index.put(change.person.id, change.person.name, add=change.add, remove=change.remove)

    def _change(self, connection: sqlite3.Connection, person: PersonRow) -> _Change:
        self._intact(person)
        query = "SELECT id FROM templates WHERE identity_id = ?"
        stored = {row[0] for row in connection.execute(query, (person.id,))}
        check_count(person, len(stored), path=self._database.path)
        held = self._index.template_ids(person.id)
        added = [row for one in sorted(stored - held) for row in read_templates(connection, "id = ?", one)]
        return _Change(
            person,
            add={template.id: self._verified(connection, template, person) for template in added},
            remove=held - stored,
        )

    def _verified(
        self, connection: sqlite3.Connection, template: TemplateRow, person: PersonRow
    ) -> FloatArray:
        if not template.is_intact:
            raise gallery_error(self._database.path, damaged_template(template, person.name))
        check_contract(self._database.path, stored=template.contract, given=self._contract)
        self._contract = template.contract
        opened, _ = vault_of(connection).opened(template, None)
        return opened.embedding

    def _intact(self, person: PersonRow) -> PersonRow:
        if not person.is_intact:
            raise gallery_error(self._database.path, damaged_person(person))
        return person
