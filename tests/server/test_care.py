"""What operators do with a gallery over HTTP: the doctor, erasing with proof; in a file and in PostgreSQL."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vultus.choices import Answer
from vultus.client import VultusClient
from vultus.errors import InputError, NotEnrolledError, ScopeError
from vultus.gallery.diagnosis import Kind
from vultus.gallery.erasure import Erasure
from vultus.server.care import erased

Photo = Callable[..., bytes]
Server = Any
Serve = Callable[..., Any]


@pytest.fixture
def server(serve: Serve, request: pytest.FixtureRequest) -> Server:
    """A service whose gallery is in a file, or where the test says."""
    engine = getattr(request, "param", "file")
    if engine == "file":
        return serve()
    pytest.importorskip("psycopg", reason="needs PostgreSQL's client: pip install 'vultus[postgres]'")
    address: str = request.getfixturevalue("postgres")
    return serve(address=f"{address}{'&' if '?' in address else '?'}gallery={uuid.uuid4().hex}")


@pytest.fixture
def client(server: Server) -> Iterator[VultusClient]:
    with VultusClient(server.url, key=server.keys["admin"]) as made:
        yield made


BOTH = pytest.mark.parametrize("server", ["file", "postgres"], indirect=True)


@BOTH
def test_people_are_enrolled_identified_and_renamed(
    client: VultusClient, server: Server, photo: Photo
) -> None:
    ada = client.enrol("Ada", [photo(10), photo(10)], metadata={"team": "blue"}).identity
    client.enrol("Bob", photo(20))
    assert client.identify(photo(10, 20, 30)).names == ("Ada", "Bob", None)
    assert [person.name for person in client.people()] == ["Ada", "Bob"]
    assert client.rename(ada.id, "Ada Lovelace").template_count == 2
    assert client.identify(photo(10)).names == ("Ada Lovelace",)
    assert dict(client.person(ada.id).metadata) == {"team": "blue"}
    with server.client() as http:
        assert http.get("/readyz").status_code == 200
        assert http.get("/v1/gallery/stats").json()["templates"] == 3
        assert http.post("/v1/access/decide", files={"image": photo(20)}).json()["name"] == "Bob"
    client.remove(ada.id)
    assert client.identify(photo(10)).answer is Answer.UNKNOWN


@BOTH
def test_the_doctor_finds_who_is_enrolled_twice(client: VultusClient, server: Server, photo: Photo) -> None:
    assert client.doctor().findings == ()
    first = client.enrol("Ada", [photo(10), photo(10)]).identity
    second = client.enrol("Augusta", [photo(10), photo(10)], force=True).identity
    client.enrol("Bob", photo(20))
    found = client.doctor()
    assert (found.people, found.templates) == (3, 5)
    assert found.min_similarity == server.service.recognizer.min_similarity
    by_kind = {one.kind: one for one in found.findings}
    assert set(by_kind) >= {Kind.DUPLICATE, Kind.FEW_SAMPLES}
    twice = by_kind[Kind.DUPLICATE]
    assert {person.id for person in twice.people} == {first.id, second.id}
    assert twice.similarity == pytest.approx(1, abs=1e-5)
    assert {person for person, _ in twice.templates} <= {first.id, second.id}
    assert all(command.startswith("vultus ") for command in twice.commands)
    assert Kind.FEW_SAMPLES not in {one.kind for one in client.doctor(samples=1).findings}
    with server.client() as http:
        told = http.get("/v1/gallery/doctor").text
    assert server.gallery.uri not in told
    assert str(server.service.settings.store.parent) not in told


@BOTH
def test_who_is_erased_is_gone_and_it_is_proven(client: VultusClient, server: Server, photo: Photo) -> None:
    ada = client.enrol("Ada", [photo(10), photo(10)]).identity
    client.decide(photo(10))
    proof = client.erase(ada.id)
    assert proof.is_proven
    assert (proof.identity_id, proof.templates) == (ada.id, 2)
    assert proof.fragments >= 2
    assert proof.searched
    assert not any("/" in name for name, _ in proof.searched)
    client.enrol("Bob", photo(20))  # only now: painted people have pieces of their pictures in common
    assert client.identify(photo(10, 20)).names == (None, "Bob")
    with server.client() as http:
        assert http.get("/v1/attendance").json()["attendance"] == []
    assert [entry for entry in server.gallery.audit() if entry.name == "Ada"] == []
    with pytest.raises(NotEnrolledError):
        client.erase(ada.id)
    events = [event for event in server.service.audit.events() if event.action.endswith("/erase")]
    assert [(event.target, event.status) for event in events] == [("", 200), ("", 404)]


def test_the_services_own_file_forgets_whom_it_was_about(
    client: VultusClient, server: Server, photo: Photo
) -> None:
    file = server.service.store.path
    with server.client() as http:
        once = {"Idempotency-Key": "once"}
        answer = http.post(
            "/v1/people", data={"name": "Ada"}, files=[("images", photo(10))], headers=once
        ).json()
        ada = answer["person"]["id"]
        client.decide(photo(10))
        client.rename(ada, "Ada Lovelace")
        files = [file, file.with_name(f"{file.name}-wal")]
        assert ada.encode() in b"".join(one.read_bytes() for one in files)
        assert http.post(f"/v1/people/{ada}/erase", headers={"Idempotency-Key": "twice"}).status_code == 200
    assert ada.encode() not in b"".join(one.read_bytes() for one in files if one.exists())
    actions = [event.action for event in server.service.audit.events()]
    assert actions.count("PATCH /v1/people/{person_id}") == 1  # the entry is there


def test_both_need_a_key_for_everything(server: Server, photo: Photo) -> None:
    with VultusClient(server.url, key=server.keys["enrol"]) as client:
        ada = client.enrol("Ada", photo(10)).identity
        for forbidden in (client.doctor, lambda: client.erase(ada.id)):
            with pytest.raises(ScopeError):
                forbidden()
    assert len(server.gallery.people()) == 1


def test_a_gallery_that_is_too_large_is_left_to_the_command_line(serve: Serve, photo: Photo) -> None:
    server = serve(max_examined=1)
    with VultusClient(server.url, key=server.keys["admin"]) as client:
        client.enrol("Ada", [photo(10), photo(10)])
        with pytest.raises(InputError, match=r"up to 1 templates, the gallery has 2.*gallery doctor"):
            client.doctor()
        with server.client() as http:
            refused = http.post("/v1/gallery/calibrate", json={"fmr": 0.01})
        assert refused.status_code == 422
        assert "vultus calibrate" in refused.json()["error"]["message"]


def test_what_is_still_there_is_told_without_the_servers_folders(tmp_path: Path) -> None:
    file = tmp_path / "people.db"
    proof = Erasure("1", 1, 1, ((str(file), 10),), (f"{file}, byte 7",), is_log_empty=False)
    told = erased(proof)
    assert not told.is_proven
    assert told.found == ["people.db, byte 7"]
    assert str(tmp_path) not in json.dumps(told.model_dump())
