"""The rows of one gallery in PostgreSQL, within one transaction.

Every statement names the gallery: its number is part of every key. It stands in the text of the nearest-
neighbour queries rather than beside them, since an index of one gallery only serves a query in which the
planner can read which gallery that is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from pgvector import Vector
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Literal

from vultus.errors import ShapeError
from vultus.gallery.encoding import Face
from vultus.gallery.journal import AUDIT_COLUMNS, AuditEntry, now
from vultus.gallery.record import Record
from vultus.gallery.rows import PERSON_COLUMNS, TEMPLATE_COLUMNS, VECTOR, PersonRow, TemplateRow, digest
from vultus.gallery.settings import SETTING_COLUMNS, Setting
from vultus.gallery.store import Counts, Near, StoredContract
from vultus.types import FloatArray

MAX_DIMENSION = 1900  # a vector stands in its row, and a row on one page of 8 kB
SCAN_CANDIDATES = 1000  # pgvector's greatest ef_search; whoever wants more has the scan go on
_MAX_SCAN_TUPLES = 2**31 - 1  # pgvector's greatest: a scan goes on until it has found enough
_SCAN_MEMORY = 16  # times work_mem: for the candidates that a scan sets aside
_VECTOR_AT = 4  # where the vector stands among the fields of a template
_PERSON_TYPES = ["int4", "text", "text", "text", "text", "text", "int4", "bytea"]
_AUDIT_TYPES = ["int4", "int8", "text", "text", "text", "text", "text", "text", "bytea"]
_LAST_ENTRY = "SELECT coalesce(max(seq), 0) FROM vultus.audit WHERE gallery_id = %s"
_TEMPLATE_TYPES = [
    "int8", "text", "text", "int4", "vector", "float8", "text", "text", "bytea", "bytea", "int4", "bytea",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hnsw:
    """An approximate index, and how well it was found to work.

    Attributes:
        m: neighbours of a vector on each layer but the lowest, which has twice as many.
        ef_construction: candidates looked at to find them.
        ef_search: candidates looked at by a search; beyond pgvector's 1000, by scanning on from there.
        recall: share of probes whose closest template it found, measured when it was built.
        probes: how many that were.
        templates: how many there were then.
    """

    m: int
    ef_construction: int
    ef_search: int
    recall: float = float("nan")
    probes: int = 0
    templates: int = 0

    def __str__(self) -> str:
        return (
            f"HNSW (m {self.m}, ef_construction {self.ef_construction}, ef_search {self.ef_search}): "
            f"recall at rank 1 {self.recall:.4f}, measured with {self.probes} probes among "
            f"{self.templates} templates"
        )


class PostgresRows:
    """A `StoreWriter` over a connection that is in a transaction.

    Args:
        connection: used by one thread at a time.
        gallery_id: its number in the database.
        hnsw: how to use the index; None takes what was found good when it was built.
    """

    def __init__(self, connection: Connection, gallery_id: int, *, hnsw: Hnsw | None = None) -> None:
        self.connection = connection
        self._gallery, self._hnsw = gallery_id, hnsw
        self._planned_exact: bool | None = None  # what the planner was told last

    def lock(self) -> None:
        """Wait until nobody else writes to this gallery."""
        self._all("SELECT id FROM vultus.galleries WHERE id = %s FOR UPDATE", self._gallery)

    def contract(self) -> StoredContract:
        """Of the vectors in it."""
        query = "SELECT contract, dimension, templates FROM vultus.galleries WHERE id = %s AND templates > 0"
        rows = self._all(query, self._gallery)
        return StoredContract(*rows[0]) if rows else StoredContract()

    def hnsw(self) -> Hnsw | None:
        """The index, if there is one."""
        query = (
            "SELECT hnsw_m, hnsw_ef_construction, hnsw_ef_search, hnsw_recall, hnsw_probes, hnsw_templates "
            "FROM vultus.galleries WHERE id = %s AND hnsw_m IS NOT NULL"
        )
        rows = self._all(query, self._gallery)
        return Hnsw(*rows[0]) if rows else None

    def people(self, identity_ids: Sequence[str] | None = None) -> Iterator[PersonRow]:
        """Everyone, or these, in order of enrolment."""
        some = "" if identity_ids is None else "AND id = ANY(%s)"
        query = f"SELECT {PERSON_COLUMNS} FROM vultus.people WHERE gallery_id = %s {some} ORDER BY seq"  # noqa: S608
        values = [] if identity_ids is None else [list(identity_ids)]
        return (PersonRow(*row) for row in self._all(query, self._gallery, *values))

    def namesake(self, name_key: str) -> PersonRow | None:
        """Whoever has a name that is compared as this."""
        query = f"SELECT {PERSON_COLUMNS} FROM vultus.people WHERE gallery_id = %s AND name_key = %s"  # noqa: S608
        rows = self._all(query, self._gallery, name_key)
        return PersonRow(*rows[0]) if rows else None

    def template_ids(self, identity_id: str) -> list[int]:
        """Of one person, oldest first."""
        query = "SELECT id FROM vultus.templates WHERE gallery_id = %s AND identity_id = %s ORDER BY id"
        return [row[0] for row in self._all(query, self._gallery, identity_id)]

    def faces(self, identity_ids: Sequence[str], *, crops: bool = True) -> Iterator[Face]:
        """The templates of these people, those of a person oldest first; without crops on demand."""
        query = (
            f"SELECT {TEMPLATE_COLUMNS}, {'crop' if crops else 'NULL'} FROM vultus.templates "  # noqa: S608
            "WHERE gallery_id = %s AND identity_id = ANY(%s) ORDER BY id"
        )
        for *row, crop in self._all(query, self._gallery, list(identity_ids)):
            yield _template(row), crop

    def templates(self, template_ids: Sequence[int]) -> Iterator[TemplateRow]:
        """These templates, without crops."""
        query = (
            f"SELECT {TEMPLATE_COLUMNS} FROM vultus.templates "  # noqa: S608
            "WHERE gallery_id = %s AND id = ANY(%s) ORDER BY id"
        )
        return (_template(row) for row in self._all(query, self._gallery, list(template_ids)))

    def counts(self) -> Counts:
        """How much there is in the whole gallery."""
        (people,) = self._all("SELECT count(*) FROM vultus.people WHERE gallery_id = %s", self._gallery)
        query = "SELECT count(*), count(crop_digest) FROM vultus.templates WHERE gallery_id = %s"
        (templates,) = self._all(query, self._gallery)
        return Counts(*people, *templates)

    def setting(self, name: str) -> Setting | None:
        """What belongs to the gallery under this name, intact or not."""
        query = f"SELECT {SETTING_COLUMNS} FROM vultus.settings WHERE gallery_id = %s AND name = %s"  # noqa: S608
        rows = self._all(query, self._gallery, name)
        return Setting(*rows[0]) if rows else None

    def audit(self) -> Iterator[AuditEntry]:
        """The audit log, oldest first."""
        query = f"SELECT {AUDIT_COLUMNS} FROM vultus.audit WHERE gallery_id = %s ORDER BY seq"  # noqa: S608
        return (AuditEntry(*row) for row in self._all(query, self._gallery))

    def nearest(self, probe: FloatArray, limit: int, *, exact: bool) -> list[Near]:
        """So many templates that are closest to a (D,) probe, best first; fewer where there are no more."""
        hnsw = None if exact else self._hnsw or self.hnsw()
        self._plan(hnsw)
        order = "vector <#> {probe}" if hnsw is None else "(vector::halfvec({d})) <#> {probe}::halfvec({d})"
        candidates = hnsw.ef_search if hnsw is not None and hnsw.ef_search > SCAN_CANDIDATES else limit
        query = SQL(  # the similarity of all that are found is computed with full precision
            "SELECT identity_id, id, -(vector <#> {probe}) AS similarity FROM "  # noqa: S608
            "(SELECT identity_id, id, vector FROM vultus.templates "
            f"WHERE gallery_id = {{gallery}} ORDER BY {order} LIMIT {{candidates}}) AS found "
            "ORDER BY similarity DESC LIMIT {limit}"
        ).format(
            probe=SQL("%(probe)s"),
            gallery=Literal(self._gallery),
            d=Literal(len(probe)),
            candidates=Literal(max(candidates, limit)),
            limit=Literal(limit),
        )
        found = self.connection.execute(query, {"probe": Vector(probe)}, binary=True)
        return [Near(*row) for row in found]

    def nearest_on_average(self, probe: FloatArray, limit: int) -> list[tuple[str, float]]:
        """So many people who are closest in the mean over their templates, best first, with that mean."""
        self._plan(None)
        query = (
            "SELECT identity_id, avg(-(vector <#> %s)) AS mean FROM vultus.templates WHERE gallery_id = %s "
            "GROUP BY identity_id ORDER BY mean DESC LIMIT %s"
        )
        return [(row[0], row[1]) for row in self._all(query, Vector(probe), self._gallery, limit)]

    def set_contract(self, contract: StoredContract) -> None:
        """State the contract of the first vectors that come; an index of the former ones goes."""
        if contract.dimension > MAX_DIMENSION:
            raise ShapeError(
                f"PostgreSQL keeps embeddings of at most {MAX_DIMENSION} dimensions, got {contract.dimension}"
            )
        self.forget_index()
        self._do(
            "UPDATE vultus.galleries SET contract = %s, dimension = %s WHERE id = %s",
            contract.contract, contract.dimension, self._gallery,
        )  # fmt: skip

    def forget_index(self) -> None:
        """Drop the approximate index, if there is one."""
        self.connection.execute(SQL("DROP INDEX IF EXISTS {}").format(SQL(index_name(self._gallery))))
        self._do("UPDATE vultus.galleries SET hnsw_m = NULL WHERE id = %s", self._gallery)

    def save_person(self, person: PersonRow) -> None:
        """Write a person, new or changed, with the checksum that belongs to it."""
        self._do(
            f"INSERT INTO vultus.people (gallery_id, {PERSON_COLUMNS}) "  # noqa: S608
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (gallery_id, id) DO UPDATE SET "
            "name = excluded.name, name_key = excluded.name_key, metadata = excluded.metadata, "
            "template_count = excluded.template_count, checksum = excluded.checksum",
            self._gallery, *astuple(person.sealed()),
        )  # fmt: skip

    def add_faces(self, faces: Sequence[Face], *, identity_id: str, contract: str) -> None:
        """Give templates to a person who is there, under ids that no template has or had."""
        self._copy_faces(
            [(replace(row, identity_id=identity_id, contract=contract), crop) for row, crop in faces]
        )

    def present(self, people: Sequence[PersonRow]) -> list[PersonRow]:
        """Those in the gallery who have the id or the name of one of these people."""
        query = (
            f"SELECT {PERSON_COLUMNS} FROM vultus.people "  # noqa: S608
            "WHERE gallery_id = %s AND (id = ANY(%s) OR name_key = ANY(%s)) ORDER BY seq"
        )
        ids, keys = [person.id for person in people], [person.name_key for person in people]
        return [PersonRow(*row) for row in self._all(query, self._gallery, ids, keys)]

    def add_people(self, records: Sequence[Record], *, actor: str) -> None:
        """Write new people with everything, many at once, with an entry each in the audit log."""
        people = [(self._gallery, *astuple(record.person.sealed())) for record in records]
        self._copy(f"people (gallery_id, {PERSON_COLUMNS})", _PERSON_TYPES, people)
        owners = [(record.person.id, face) for record in records for face in record.faces]
        self._copy_faces([(replace(row, identity_id=owner), crop) for owner, (row, crop) in owners])
        ((last,),) = self._all(_LAST_ENTRY, self._gallery)
        entries = [
            AuditEntry(
                seq, now(), _text(actor), "import", one.person.id, one.person.name, f"{len(one.faces)} copied"
            )
            for seq, one in enumerate(records, start=last + 1)
        ]
        self._note_all(entries)

    def delete_person(self, identity_id: str) -> int:
        """Delete a person with their templates; the number of those that there were."""
        where = "WHERE gallery_id = %s AND"
        query = f"DELETE FROM vultus.templates {where} identity_id = %s"  # noqa: S608
        deleted = self._do(query, self._gallery, identity_id)
        self._count(-deleted)
        self._do(f"DELETE FROM vultus.people {where} id = %s", self._gallery, identity_id)  # noqa: S608
        return deleted

    def delete_template(self, template_id: int) -> None:
        """Delete one template."""
        self._do("DELETE FROM vultus.templates WHERE gallery_id = %s AND id = %s", self._gallery, template_id)

    def save_setting(self, setting: Setting) -> None:
        """Write a setting in place of an earlier one of its name, with the checksum that belongs to it."""
        self._do(
            f"INSERT INTO vultus.settings (gallery_id, {SETTING_COLUMNS}) VALUES (%s, %s, %s, %s, %s) "  # noqa: S608
            "ON CONFLICT (gallery_id, name) DO UPDATE SET "
            "value = excluded.value, changed = excluded.changed, checksum = excluded.checksum",
            self._gallery, *astuple(setting.sealed()),
        )  # fmt: skip

    def note(self, action: str, *, actor: str, detail: str, of: tuple[str, str] = ("", "")) -> None:
        """Write into the audit log: this was done to the gallery, or to the person `of` this id and name."""
        ((last,),) = self._all(_LAST_ENTRY, self._gallery)
        self._note_all([AuditEntry(last + 1, now(), _text(actor), action, *of, detail)])

    def replace_entry(self, entry: AuditEntry) -> None:
        """Write an entry of the audit log in place of the one with its number."""
        self._do("DELETE FROM vultus.audit WHERE gallery_id = %s AND seq = %s", self._gallery, entry.seq)
        self._note_all([entry])

    def delete_settings(self, pattern: str) -> None:
        """Forget every setting whose name is LIKE this."""
        query = "DELETE FROM vultus.settings WHERE gallery_id = %s AND name LIKE %s"
        self._do(query, self._gallery, pattern)

    def _note_all(self, entries: Sequence[AuditEntry]) -> None:
        sealed = [(*astuple(one)[:-1], digest("audit", *astuple(one)[:-1])) for one in entries]
        rows = [(self._gallery, *row) for row in sealed]
        self._copy(f"audit (gallery_id, {AUDIT_COLUMNS})", _AUDIT_TYPES, rows)

    def _copy_faces(self, faces: Sequence[Face]) -> None:
        ids = self._all("SELECT nextval('vultus.template_ids') FROM generate_series(1, %s)", len(faces))
        rows = [
            _record(_storable(row, crop, id=template_id), self._gallery, crop)
            for (template_id,), (row, crop) in zip(ids, faces, strict=True)
        ]
        self._copy(f"templates ({TEMPLATE_COLUMNS}, gallery_id, crop)", _TEMPLATE_TYPES, rows)
        self._count(len(faces))

    def _copy(self, target: str, types: list[str], rows: Iterable[Sequence[object]]) -> None:
        with self.connection.cursor().copy(f"COPY vultus.{target} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _count(self, change: int) -> None:
        self._do(
            "UPDATE vultus.galleries SET templates = templates + %s WHERE id = %s", change, self._gallery
        )

    def _plan(self, hnsw: Hnsw | None) -> None:
        """Have the planner use the index, or not be kept from anything."""
        if self._planned_exact is (hnsw is None):
            return
        self._planned_exact = hnsw is None
        state = "on" if hnsw is None else "off"
        settings = f"SET LOCAL enable_seqscan = {state}; SET LOCAL enable_sort = {state}"
        if hnsw is not None:
            settings += f"; SET LOCAL hnsw.ef_search = {min(hnsw.ef_search, SCAN_CANDIDATES)}"
            settings += "; SET LOCAL hnsw.iterative_scan = relaxed_order"
            settings += f"; SET LOCAL hnsw.max_scan_tuples = {_MAX_SCAN_TUPLES}"
            settings += f"; SET LOCAL hnsw.scan_mem_multiplier = {_SCAN_MEMORY}"
        self.connection.execute(settings)

    def _all(self, query: str, *values: object) -> list[TupleRow]:
        return self.connection.execute(query, values, binary=True).fetchall()

    def _do(self, query: str, *values: object) -> int:
        return self.connection.execute(query, values).rowcount


def index_name(gallery_id: int) -> str:
    """The approximate index of one gallery."""
    return f"vultus.templates_hnsw_{gallery_id}"


def vector_bytes(vector: Vector) -> bytes:
    """As `TemplateRow` has it: float32, little-endian."""
    return np.asarray(vector.to_numpy()).astype(VECTOR).tobytes()


def _template(row: Sequence[Any]) -> TemplateRow:
    fields = list(row)
    fields[_VECTOR_AT] = vector_bytes(fields[_VECTOR_AT])
    return TemplateRow(*fields)


def _storable(row: TemplateRow, crop: bytes | None, *, id: int) -> TemplateRow:  # noqa: A002 (the field's name)
    crop_digest = None if crop is None else digest("crop", blob=crop)
    return replace(row, id=id, source=_text(row.source), crop_digest=crop_digest).sealed()


def _record(row: TemplateRow, gallery_id: int, crop: bytes | None) -> tuple[object, ...]:
    fields = list(astuple(row))
    fields[_VECTOR_AT] = Vector(np.frombuffer(row.vector, VECTOR))
    return (*fields, gallery_id, crop)


def _text(text: str) -> str:
    """PostgreSQL's text has every character but U+0000."""
    return text.replace("\0", "\\x00")
