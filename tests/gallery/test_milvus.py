"""What a gallery in Milvus makes up for: no transactions, short texts, no unique names."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.errors import GalleryError, InputError
from vultus.gallery.milvus import MilvusGallery
from vultus.gallery.milvus_server import Address
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def uri(milvus: str) -> str:
    """The address of a gallery that nobody else uses."""
    return f"{milvus}?gallery=g{uuid.uuid4().hex}"


@pytest.fixture
def gallery(uri: str) -> Iterator[MilvusGallery]:
    with MilvusGallery(uri, contract="c", actor="tester") as made:
        yield made


class FailingClient:
    """A client whose connection breaks at the n-th write."""

    def __init__(self, client: Any, writes: int) -> None:
        self._client, self._left = client, writes

    def __getattr__(self, name: str) -> Any:
        if name in {"upsert", "delete", "drop_collection", "create_collection"}:
            self._left -= 1
            if self._left < 0:
                raise GalleryError("the connection broke")
        return getattr(self._client, name)


def with_failure(gallery: MilvusGallery, writes: int, change: Callable[[], object]) -> bool:
    """Make a change with a connection that breaks; whether it did."""
    store: Any = gallery._store
    client = store._client
    store._client = FailingClient(client, writes)
    try:
        change()
    except GalleryError as error:
        return "the connection broke" in str(error)
    finally:
        store._client = client
    return False


@pytest.mark.parametrize(
    ("uri", "server", "token", "where"),
    [
        ("milvus://u:secret@h/db?gallery=a", "http://h:19530", "u:secret", "milvus://h:19530/db?gallery=a"),
        ("https://h:7?token=secret", "https://h:7", "secret", "https://h:7?gallery=default"),
        ("milvus:///tmp/x.db?gallery=a", "/tmp/x.db", "", "milvus:///tmp/x.db?gallery=a"),
    ],
)
def test_an_address_is_shown_without_its_password(uri: str, server: str, token: str, where: str) -> None:
    address = Address.parse(uri)
    assert (address.server, address.token, address.where) == (server, token, where)
    assert address.is_lite == uri.startswith("milvus:///")


@pytest.mark.parametrize("uri", ["milvus://", "milvus://h?nonsense=1", "milvus://h?gallery=a-b"])
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match=r"expected milvus://host|named by up to 100 of"):
        Address.parse(uri)


def test_a_server_that_is_not_there_is_named_and_the_password_is_not() -> None:
    with pytest.raises(GalleryError, match=r"milvus://127\.0\.0\.1:1.*cannot be reached") as caught:
        MilvusGallery("milvus://somebody:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


def test_looking_makes_no_gallery(uri: str, tmp_path: Path) -> None:
    for address in (uri, f"milvus://{tmp_path}/none.db"):
        for read_only, create in ((True, True), (False, False)):
            with pytest.raises(GalleryError, match="there is no gallery at"):
                MilvusGallery(address, read_only=read_only, create=create)
    assert list(tmp_path.iterdir()) == []


def test_an_enrolment_that_breaks_off_is_whole_or_not_there(gallery: MilvusGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(2, seed=1))
    broken, writes = True, 0
    while broken:
        name, templates = f"person {writes}", faces(3, seed=10 + writes)
        before = gallery.people()
        broken = with_failure(gallery, writes, lambda n=name, t=templates: gallery.enrol(n, t))  # type: ignore[misc]  # a lambda's defaults
        added = [person for person in gallery.people() if person not in before]
        assert [person.template_count for person in added] in ([], [3])
        (answer,) = gallery.search(templates[0].embedding[np.newaxis], top_k=1)
        assert (answer[0].name == name) == bool(added)
        writes += 1
    assert writes > 3, "several writes were broken off"
    assert gallery.find("Anna") == anna
    assert gallery.check().is_clean


def test_an_addition_and_a_removal_that_break_off_are_whole_or_not_there(
    gallery: MilvusGallery, faces: MakeFaces
) -> None:
    for writes in range(5):
        name = f"person {writes}"
        person = gallery.enrol(name, faces(2, seed=writes))
        with_failure(gallery, writes, lambda n=name: gallery.enrol(n, faces(1, seed=50)))  # type: ignore[misc]  # a lambda's defaults
        assert len(gallery.templates(person.id)) == gallery.find(name).template_count in {2, 3}
        with_failure(gallery, writes, lambda i=person.id: gallery.remove(i))  # type: ignore[misc]  # a lambda's defaults
        assert [one.id for one in gallery.people() if one.id == person.id] in ([], [person.id])
        assert gallery.check().is_clean
    gallery.search(faces(1)[0].embedding[np.newaxis], aggregate="mean")


def test_a_large_crop_is_kept_in_pieces(gallery: MilvusGallery, faces: MakeFaces) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)  # which no PNG makes smaller
    anna = gallery.enrol("Anna", [Template(faces(1)[0].embedding, crop=noise)])
    (stored,) = gallery.templates(anna.id)
    assert stored.crop is not None
    np.testing.assert_array_equal(stored.crop, noise)
    assert gallery.stats().crops == 1
    gallery.remove(anna.id)
    assert gallery.stats().crops == 0


def test_what_does_not_fit_into_a_row_is_refused(gallery: MilvusGallery, faces: MakeFaces) -> None:
    with pytest.raises(GalleryError, match=r"Milvus takes 60000\. Nothing was changed"):
        gallery.enrol("Anna", faces(1), metadata={"a": "x" * 61_000})
    assert gallery.people() == []
    assert gallery.contract == "c"


def test_two_people_of_one_name_are_found(gallery: MilvusGallery, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(1))
    rows: Any = gallery._store.reading()
    with rows as reader:
        (row,) = reader._client.query(reader.rows, f'key == "person/{anna.id}"', output_fields=["*"])
        body = json.loads(row["body"])
        double = {key: row[key] for key in ("kind", "owner", "seq", "vector")}
        body[0] = "0" * 32
        reader._client.insert(reader.rows, [double | {"key": f"person/{body[0]}", "body": json.dumps(body)}])
    damaged = gallery.check().damaged
    assert any("a name that looks alike" in one.reason for one in damaged)
    assert any("checksum" in one.reason for one in damaged), "the double was not sealed for its id"


def test_a_closed_gallery_says_so(gallery: MilvusGallery) -> None:
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="it is closed"):
        gallery.people()
