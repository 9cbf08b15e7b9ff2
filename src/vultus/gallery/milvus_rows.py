"""The rows of one gallery in Milvus, which has no transactions: how a change is still whole or not there.

Two collections belong to a gallery. `vultus_NAME_vectors` holds the templates. `vultus_NAME_rows` holds
everything else as texts with a key: people, crops in pieces (a text has at most 65,535 bytes), settings and
the audit log. The row of a person lists their templates, and only those count. So a change is written in
this order, and becomes true with the one row that is replaced in the middle:

1. new crops and templates, which nobody lists yet;
2. the row of the person, new, changed or deleted;
3. deletions of crops and templates that nobody lists any more;
4. the audit log.

Whoever is killed in between leaves templates that nobody lists, and which are never answered.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

import numpy as np
from pymilvus import MilvusClient

from vultus.errors import GalleryError
from vultus.gallery.encoding import Face
from vultus.gallery.journal import AuditEntry, now
from vultus.gallery.milvus_collections import (
    BATCH,
    MAX_TEXT,
    Entry,
    Row,
    batches,
    collections_of,
    crop_rows,
    entry_of,
    make_vectors,
    person_row,
    sealed,
    stand_in,
    template_of,
    text_row,
    texts,
    vector_row,
)
from vultus.gallery.record import Record
from vultus.gallery.rows import PersonRow, TemplateRow, digest
from vultus.gallery.settings import Setting
from vultus.gallery.store import Counts, Near, StoredContract
from vultus.types import FloatArray

MAX_HITS = 16_384  # templates that one search answers; Milvus's own limit


class MilvusRows:
    """A `StoreWriter` that collects changes; `commit` writes them in order.

    Args:
        client: connected.
        name: of the gallery; collections are called after it.
        new_ids: gives out so many numbers that rise with time and were never given out.
        where: the gallery, for messages.
    """

    def __init__(
        self, client: MilvusClient, name: str, *, new_ids: Callable[[int], list[int]], where: str
    ) -> None:
        self._client, self._new_ids, self._where = client, new_ids, where
        self.rows, self.vectors = collections_of(name)
        self._contract: StoredContract | None = None
        self._first_contract: StoredContract | None = None
        self._people: dict[str, Entry | None] = {}
        self._new_vectors: list[Row] = []
        self._new_crops: list[Row] = []
        self._changed: dict[str, Entry] = {}
        self._removed_people: list[str] = []
        self._removed_templates: list[int] = []
        self._log: list[Row] = []
        self._n_entries: int | None = None  # of the audit log; None while nobody asked

    def contract(self) -> StoredContract:
        """Of the vectors in it."""
        if self._contract is None:
            contract, dimension = self._body("contract") or ("", 0)
            count = self._count(self.vectors, "") if contract else 0
            self._contract = StoredContract(contract, dimension, count) if count else StoredContract()
        return self._contract

    def people(self, identity_ids: Sequence[str] | None = None) -> Iterator[PersonRow]:
        """Everyone, or these, in order of enrolment."""
        if identity_ids is None:
            everyone = [entry_of(row) for row in self._scan(self.rows, 'kind == "person"', ["seq", "body"])]
        else:
            self._fetch(identity_ids)
            everyone = [entry for one in set(identity_ids) if (entry := self._people[one]) is not None]
        return (entry.person for entry in sorted(everyone, key=lambda entry: entry.seq))

    def namesake(self, name_key: str) -> PersonRow | None:
        """Whoever has a name that is compared as this."""
        where = f'kind == "person" and owner == "{stand_in(name_key)}"'
        found = self._client.query(self.rows, where, output_fields=["seq", "body"])
        people = [entry_of(row).person for row in found]
        return next((person for person in people if person.name_key == name_key), None)

    def template_ids(self, identity_id: str) -> list[int]:
        """Of one person, oldest first."""
        self._fetch([identity_id])
        entry = self._people[identity_id]
        return [] if entry is None else list(entry.templates)

    def faces(self, identity_ids: Sequence[str], *, crops: bool = True) -> Iterator[Face]:
        """The templates of these people, those of a person oldest first; without crops on demand."""
        for identity_id in identity_ids:
            rows = {row.id: row for row in self.templates(self.template_ids(identity_id))}
            for template_id in self.template_ids(identity_id):
                if template_id in rows:
                    yield rows[template_id], self._crop(template_id) if crops else None

    def templates(self, template_ids: Sequence[int]) -> Iterator[TemplateRow]:
        """These templates, without crops."""
        fields = ["id", "identity_id", "vector", "body"]
        for ids in batches(template_ids):
            for row in self._client.query(self.vectors, f"id in {list(ids)}", output_fields=fields):
                yield template_of(row)

    def counts(self) -> Counts:
        """How much there is in the whole gallery."""
        crops = self._count(self.rows, 'kind == "crop" and seq == 0')
        return Counts(self._count(self.rows, 'kind == "person"'), self.contract().templates, crops)

    def setting(self, name: str) -> Setting | None:
        """What belongs to the gallery under this name, intact or not."""
        body = self._body(f"setting/{stand_in(name)}")
        return Setting(*sealed(body)) if body else None

    def audit(self) -> Iterator[AuditEntry]:
        """The audit log, oldest first."""
        found = self._scan(self.rows, 'kind == "audit"', ["seq", "body"])
        for row in sorted(found, key=lambda row: int(row["seq"])):
            yield AuditEntry(*sealed(json.loads(row["body"])))

    def nearest(self, probe: FloatArray, limit: int, *, exact: bool) -> list[Near]:  # noqa: ARG002
        """So many templates that are closest to a (D,) probe, best first; fewer where there are no more."""
        asked = min(limit, MAX_HITS)
        while True:
            (hits,) = self._client.search(
                self.vectors, [probe.tolist()], limit=asked, output_fields=["identity_id"]
            )
            near = [Near(hit["entity"]["identity_id"], hit["id"], hit["distance"]) for hit in hits]
            self._fetch({one.identity_id for one in near})
            listed = [one for one in near if one.template_id in self.template_ids(one.identity_id)]
            if len(hits) < asked or len(listed) >= limit or asked == MAX_HITS:
                return listed[:limit]
            asked = min(MAX_HITS, 2 * asked)

    def nearest_on_average(self, probe: FloatArray, limit: int) -> list[tuple[str, float]]:
        """So many people who are closest in the mean over their templates, best first, with that mean.

        Milvus cannot average: every vector is read.
        """
        sums: dict[str, list[float]] = {}
        for row in self._scan(self.vectors, "", ["id", "identity_id", "vector"]):
            similarity = float(np.asarray(row["vector"], np.float32) @ probe)
            sums.setdefault(row["identity_id"], []).append(similarity)
        means = [(identity_id, float(np.mean(values))) for identity_id, values in sums.items()]
        return sorted(means, key=lambda one: -one[1])[:limit]

    def set_contract(self, contract: StoredContract) -> None:
        """State the contract of the first vectors that come."""
        self._contract = self._first_contract = replace(contract, templates=1)  # from here on there are some

    def save_person(self, person: PersonRow) -> None:
        """Write a person, new or changed, with the checksum that belongs to it."""
        self._fetch([person.id])
        known = self._people[person.id]
        seq = self._new_ids(1)[0] if known is None else known.seq
        self._changed[person.id] = Entry(person.sealed(), self.template_ids(person.id), seq)

    def add_faces(self, faces: Sequence[Face], *, identity_id: str, contract: str) -> None:
        """Give templates to a person who is there, under ids that no template has or had."""
        for template_id, (row, crop) in zip(self._new_ids(len(faces)), faces, strict=True):
            crop_digest = None if crop is None else digest("crop", blob=crop)
            owned = replace(row, id=template_id, identity_id=identity_id, contract=contract)
            self._new_vectors.append(vector_row(replace(owned, crop_digest=crop_digest).sealed()))
            self._new_crops += crop_rows(template_id, crop)
            self._changed[identity_id].templates.append(template_id)

    def present(self, people: Sequence[PersonRow]) -> list[PersonRow]:
        """Those in the gallery who have the id or the name of one of these people."""
        found = {person.id: person for person in self.people([one.id for one in people])}
        keys = {person.name_key for person in people}
        for hashes in batches([stand_in(key) for key in sorted(keys)]):
            where = f'kind == "person" and owner in {texts(hashes)}'
            for row in self._client.query(self.rows, where, output_fields=["seq", "body"]):
                person = entry_of(row).person
                if person.name_key in keys:
                    found[person.id] = person
        return list(found.values())

    def add_people(self, records: Sequence[Record], *, actor: str) -> None:
        """Write new people with everything, many at once, with an entry each in the audit log."""
        for record in records:
            person = record.person
            self.save_person(person)
            for face in record.faces:
                self.add_faces([face], identity_id=person.id, contract=face[0].contract)
            self.note(
                "import", actor=actor, detail=f"{len(record.faces)} copied", of=(person.id, person.name)
            )

    def delete_person(self, identity_id: str) -> int:
        """Delete a person with their templates; the number of those that there were."""
        ids = self.template_ids(identity_id)
        found = sum(1 for _ in self.templates(ids))
        self._removed_people.append(identity_id)
        self._removed_templates += ids
        return found

    def delete_template(self, template_id: int) -> None:
        """Delete one template."""
        for entry in self._changed.values():
            if template_id in entry.templates:
                entry.templates.remove(template_id)
        self._removed_templates.append(template_id)

    def save_setting(self, setting: Setting) -> None:
        """Write a setting in place of an earlier one of its name, with the checksum that belongs to it."""
        *fields, checksum = astuple(setting.sealed())
        self._log.append(text_row(f"setting/{stand_in(setting.name)}", "setting", [*fields, checksum.hex()]))

    def note(self, action: str, *, actor: str, detail: str, of: tuple[str, str] = ("", "")) -> None:
        """Write into the audit log: this was done to the gallery, or to the person `of` this id and name."""
        if self._n_entries is None:
            self._n_entries = self._count(self.rows, 'kind == "audit"')
        seq = self._n_entries = self._n_entries + 1
        fields = astuple(AuditEntry(seq, now(), actor, action, *of, detail))[:-1]
        (when,) = self._new_ids(1)
        body = [*fields, digest("audit", *fields).hex()]
        self._log.append(text_row(f"audit/{when}", "audit", body, seq=when))

    def commit(self) -> None:
        """Write everything, in the order that leaves no half change."""
        people = [person_row(entry) for entry in self._changed.values()]
        for row in (*people, *self._log):
            if len(row["body"]) > MAX_TEXT:
                raise GalleryError(
                    f"gallery {self._where}: '{row['key']}' has {len(row['body'])} characters with its "
                    f"metadata and the list of its templates; Milvus takes {MAX_TEXT}. Nothing was changed"
                )
        if self._first_contract is not None:
            self._start(self._first_contract)
        self._put(self.rows, self._new_crops)
        self._put(self.vectors, self._new_vectors)
        self._put(self.rows, people)
        for identity_id in self._removed_people:
            self._client.delete(self.rows, ids=[f"person/{identity_id}"])
        for ids in batches(self._removed_templates):
            self._client.delete(self.vectors, ids=list(ids))
            self._client.delete(self.rows, filter=f'kind == "crop" and owner in {texts(ids)}')
        self._put(self.rows, self._log)

    def _start(self, contract: StoredContract) -> None:
        """Make the collection of the first vectors; one of former vectors goes."""
        self._client.delete(self.rows, ids=["contract"])  # first: without it the gallery is empty
        if self._client.has_collection(self.vectors):
            self._client.drop_collection(self.vectors)
        make_vectors(self._client, self.vectors, contract.dimension)
        self._put(self.rows, [text_row("contract", "contract", [contract.contract, contract.dimension])])

    def _put(self, collection: str, rows: Sequence[Row]) -> None:
        for batch in batches(rows):
            self._client.upsert(collection, list(batch))

    def _fetch(self, identity_ids: Iterable[str]) -> None:
        """Have these people, or that there is nobody, in memory."""
        missing = sorted(set(identity_ids) - self._people.keys())
        for ids in batches(missing):
            where = f"key in {texts(f'person/{one}' for one in ids)}"
            for row in self._client.query(self.rows, where, output_fields=["seq", "body"]):
                entry = entry_of(row)
                self._people[entry.person.id] = entry
        for one in missing:
            self._people.setdefault(one, None)

    def _crop(self, template_id: int) -> bytes | None:
        found = self._client.query(
            self.rows, f'kind == "crop" and owner == "{template_id}"', output_fields=["seq", "body"]
        )
        pieces = [row["body"] for row in sorted(found, key=lambda row: int(row["seq"]))]
        return b64decode("".join(pieces)) if pieces else None

    def _body(self, key: str) -> Any:
        found = self._client.query(self.rows, f'key == "{key}"', output_fields=["body"])
        return json.loads(found[0]["body"]) if found else None

    def _count(self, collection: str, where: str) -> int:
        (row,) = self._client.query(collection, where, output_fields=["count(*)"])
        return int(row["count(*)"])

    def _scan(self, collection: str, where: str, fields: list[str]) -> Iterator[Mapping[str, Any]]:
        """Every row, in no order."""
        if collection == self.vectors and not self.contract().templates:
            return
        rows = self._client.query_iterator(collection, filter=where, batch_size=BATCH, output_fields=fields)
        try:
            while batch := rows.next():
                yield from batch
        finally:
            rows.close()
