"""The two collections of a gallery in Milvus, and how people, templates and crops are written in them."""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from pymilvus import CollectionSchema, DataType, MilvusClient

from vultus.gallery.rows import VECTOR, PersonRow, TemplateRow

MAX_TEXT = 60_000  # characters of one row; Milvus takes 65,535 bytes
BATCH = 200  # keys in one question, rows in one answer
Row = dict[str, Any]
_T = TypeVar("_T")


@dataclass(slots=True)
class Entry:
    """A person, the templates that are theirs, and a number that tells who was enrolled first."""

    person: PersonRow
    templates: list[int]
    seq: int


def collections_of(gallery: str) -> tuple[str, str]:
    """The names of a gallery's two collections: rows, and vectors."""
    return f"vultus_{gallery}_rows", f"vultus_{gallery}_vectors"


def make_rows(client: MilvusClient, name: str) -> None:
    """Make the collection of everything that is no vector."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=128)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)  # person, crop, setting, audit, contract
    schema.add_field("owner", DataType.VARCHAR, max_length=64)  # hash of the name, or id of the template
    schema.add_field("seq", DataType.INT64)
    schema.add_field("body", DataType.VARCHAR, max_length=65_535)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # Milvus takes no collection without
    _create(client, name, schema)


def make_vectors(client: MilvusClient, name: str, dimension: int) -> None:
    """Make the collection of the templates."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("identity_id", DataType.VARCHAR, max_length=32)
    schema.add_field("body", DataType.VARCHAR, max_length=65_535)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    _create(client, name, schema)


def _create(client: MilvusClient, name: str, schema: CollectionSchema) -> None:
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")  # every vector is compared
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")


def text_row(key: str, kind: str, body: Sequence[object], *, owner: str = "", seq: int = 0) -> Row:
    """A row of the first collection: a JSON list under a key."""
    text = json.dumps(body)
    return {"key": key, "kind": kind, "owner": owner, "seq": seq, "body": text, "vector": [0.0, 1.0]}


def person_row(entry: Entry) -> Row:
    """How a person is stored."""
    *fields, checksum = astuple(entry.person)
    body = [*fields, checksum.hex(), entry.templates]
    owner = stand_in(entry.person.name_key)
    return text_row(f"person/{entry.person.id}", "person", body, owner=owner, seq=entry.seq)


def entry_of(row: Mapping[str, Any]) -> Entry:
    """The person that a row holds, damaged or not."""
    *fields, templates = json.loads(row["body"])
    return Entry(PersonRow(*sealed(fields)), templates, int(row["seq"]))


def sealed(body: Sequence[Any]) -> list[Any]:
    """Fields of which the last one is a checksum."""
    return [*body[:-1], bytes.fromhex(body[-1])]


def vector_row(row: TemplateRow) -> Row:
    """How a template is stored, without its crop."""
    about = [row.contract, row.quality, row.source, row.created]
    seals = [row.crop_digest and row.crop_digest.hex(), row.checksum.hex()]
    vector = np.frombuffer(row.vector, VECTOR).tolist()
    return {"id": row.id, "identity_id": row.identity_id, "body": json.dumps(about + seals), "vector": vector}


def template_of(row: Mapping[str, Any]) -> TemplateRow:
    """The template that a row holds, damaged or not."""
    contract, quality, source, created, crop_digest, checksum = json.loads(row["body"])
    vector = np.asarray(row["vector"], VECTOR)
    return TemplateRow(
        id=int(row["id"]),
        identity_id=row["identity_id"],
        contract=contract,
        dimension=len(vector),
        vector=vector.tobytes(),
        quality=quality,
        source=source,
        created=created,
        crop_digest=crop_digest and bytes.fromhex(crop_digest),
        checksum=bytes.fromhex(checksum),
    )


def crop_rows(template_id: int, crop: bytes | None) -> list[Row]:
    """How a crop is stored: in as many pieces as it needs."""
    text = "" if crop is None else b64encode(crop).decode()
    pieces = [text[start : start + MAX_TEXT] for start in range(0, len(text), MAX_TEXT)]
    return [
        text_row(f"crop/{template_id}/{seq}", "crop", [], owner=str(template_id), seq=seq) | {"body": piece}
        for seq, piece in enumerate(pieces)
    ]


def stand_in(text: str) -> str:
    """Stands for any text in a question, where quotes would have to be escaped."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def texts(values: Iterable[object]) -> str:
    """A list of ids as Milvus reads it in a question."""
    return json.dumps([str(value) for value in values])


def batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """As many at once as one question or answer may hold."""
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))
