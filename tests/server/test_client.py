"""The typed client, and the command line that uses it, against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from vultus.choices import Answer
from vultus.client import VultusClient
from vultus.client.connection import Connection, error_of
from vultus.errors import (
    BusyError,
    CredentialsError,
    FaceCountError,
    GalleryError,
    ImageError,
    InputError,
    NotEnrolledError,
    ScopeError,
    ServiceError,
)

Photo = Callable[..., bytes]
Server = Any
Serve = Callable[..., Any]
Command = Callable[..., Any]


@pytest.fixture
def client(server: Server) -> Iterator[VultusClient]:
    with VultusClient(server.url, key=server.keys["admin"]) as made:
        yield made


def test_the_client_gives_the_values_of_the_library(
    client: VultusClient, photo: Photo, tmp_path: Path
) -> None:
    file = tmp_path / "ada.png"
    file.write_bytes(photo(10))
    done = client.enrol("Ada", file, metadata={"team": "blue"})
    assert (done.identity.name, dict(done.identity.metadata)) == ("Ada", {"team": "blue"})
    assert done.qualities[0].is_good

    faces = client.detect(photo(10, 20))
    assert faces.boxes.tolist() == [[8, 8, 56, 56], [72, 8, 120, 56]]
    assert len(client.detect(photo())) == 0
    _, vectors = client.embed(photo(10, 20))
    assert vectors.shape == (2, 16)

    seen = client.identify(photo(10, 20), top_k=1)
    assert seen.names == ("Ada", None)
    assert client.identify(photo()).answer is Answer.NO_FACE
    assert client.verify(photo(10), photo(10)).is_same
    assert not client.verify(photo(10), photo(20)).is_same

    again = client.enrol("Ada", [photo(10), photo(10)])
    assert again.identity.id == done.identity.id
    assert again.identity.template_count == 3
    assert client.rename(done.identity.id, "Ada L.").name == "Ada L."
    assert client.person(done.identity.id).name == "Ada L."
    assert [person.name for person in client.people()] == ["Ada L."]
    client.export(tmp_path / "people.zip")
    assert (tmp_path / "people.zip").read_bytes().startswith(b"PK")
    client.remove(done.identity.id)
    assert client.people() == []


def test_arrays_are_sent_too(client: VultusClient, photo: Photo) -> None:
    from vultus.image import load_image

    assert len(client.detect(load_image(photo(10, 20)))) == 2


def test_a_door_is_asked(client: VultusClient, photo: Photo) -> None:
    client.enrol("Ada", photo(10))
    assert client.decide(photo(10)).outcome == "allow"
    assert client.decide(photo(20)).reasons == ("unknown_person",)


def test_refusals_are_the_librarys_own_errors(client: VultusClient, server: Server, photo: Photo) -> None:
    with pytest.raises(FaceCountError) as several:
        client.verify(photo(10, 20), photo(10))
    assert several.value.face_count == 2
    with pytest.raises(ImageError, match="not an image"):
        client.detect(b"nonsense")
    with pytest.raises(ImageError, match="cannot be read"):
        client.detect("nowhere.png")
    with pytest.raises(NotEnrolledError):
        client.person("0" * 32)
    with pytest.raises(InputError, match="id"):
        client.person("../gallery/stats")
    client.enrol("Ada", photo(10))
    with pytest.raises(GalleryError, match="looks different"):
        client.enrol("Ada", photo(20))
    with pytest.raises(ScopeError), VultusClient(server.url, key=server.keys["read"]) as reader:
        reader.enrol("Bob", photo(20))
    with pytest.raises(CredentialsError), VultusClient(server.url) as nobody:
        nobody.detect(photo(10))
    with pytest.raises(InputError, match="top_k"):
        client.identify(photo(10), top_k=0)


def test_a_server_that_is_none_is_named() -> None:
    with (
        Connection("http://127.0.0.1:9", attempts=1) as connection,
        pytest.raises(ServiceError, match="cannot be reached"),
    ):
        connection.send("GET", "/v1/people")
    for url in ("http://127.0.0.1:9x", "", "faces.example", "ftp://faces.example", "http://"):
        with pytest.raises(ServiceError, match="address"):
            VultusClient(url)
    with pytest.raises(ServiceError, match="key"):
        VultusClient("http://x", key="\n")


def answers(*responses: httpx.Response) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that gives these answers in turn, and what it was asked."""
    seen: list[httpx.Request] = []
    waiting = list(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return waiting.pop(0)

    return httpx.MockTransport(answer), seen


def test_a_busy_service_is_asked_again_with_the_same_idempotency_key() -> None:
    busy = httpx.Response(429, headers={"Retry-After": "0"})
    transport, seen = answers(busy, busy, httpx.Response(200, json={"results": []}))
    VultusClient("http://x", transport=transport).detect_batch([b""])
    keys = [request.headers["idempotency-key"] for request in seen]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_a_service_that_stays_busy_is_an_error() -> None:
    told = {
        "error": {"code": "busy_error", "message": "later", "details": {"retry_after_s": 3}, "request_id": ""}
    }
    transport, seen = answers(*[httpx.Response(429, json=told, headers={"Retry-After": "0"})] * 4)
    with pytest.raises(BusyError) as busy:
        VultusClient("http://x", transport=transport).people()
    assert busy.value.retry_after_s == 3
    assert len(seen) == 4


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b"[]", b'{"error": 1}', b'{"error": {"code": 1}}', b"\xff"]
)
def test_an_answer_of_something_else_is_a_service_error(body: bytes) -> None:
    assert type(error_of(httpx.Response(502, content=body))) is ServiceError
    transport, _ = answers(httpx.Response(200, content=body))
    with pytest.raises(ServiceError):
        VultusClient("http://x", transport=transport).detect(b"")


def test_the_command_line_lets_a_server_do_it(
    server: Server, photo: Photo, tmp_path: Path, vultus: Command
) -> None:
    ada, both = tmp_path / "ada.png", tmp_path / "both.png"
    ada.write_bytes(photo(10))
    both.write_bytes(photo(10, 20))
    there = ("--server", server.url, "--key", server.keys["enrol"], "--json")
    enrolled = json.loads(vultus("enrol", "Ada", ada, "--metadata", '{"team": "blue"}', *there).out)
    assert enrolled[0]["id"] == server.gallery.find("Ada").id
    assert enrolled[0]["templates"] == 1

    (seen,) = json.loads(vultus("identify", both, "--top-k", 1, *there).out)
    assert [face["name"] for face in seen["faces"]] == ["Ada", None]
    (found,) = json.loads(vultus("detect", both, "--draw", tmp_path / "drawn.png", *there).out)
    assert [face["box"] for face in found["faces"]] == [[8, 8, 56, 56], [72, 8, 120, 56]]
    assert (tmp_path / "drawn.png").exists()
    assert vultus("verify", ada, ada, *there).code == 0
    assert vultus("verify", ada, both, "--faces", "largest", *there).code == 0
    assert vultus("verify", ada, both, *there).code == 2
    assert vultus("detect", ada, "--server", server.url).code == 9
    assert vultus("detect", ada, "--server", "http://127.0.0.1:9x").code == 9


@pytest.mark.parametrize(
    "options",
    [
        ("detect", "a.png", "--detector", "retinaface"),
        ("detect", "a.png", "--explain"),
        ("identify", "a.png", "--gallery", "x.db"),
        ("verify", "a.png", "b.png", "--min-similarity", "0.5"),
        ("enrol", "Ada", "a.png", "--min-sharpness", "0.1"),
    ],
)
def test_what_a_server_decides_cannot_be_asked_of_it(options: tuple[str, ...], vultus: Command) -> None:
    outcome = vultus(*options, "--server", "http://127.0.0.1:9")
    assert outcome.code == 2
    assert (
        f"{options[-2] if options[-1][0] != '-' else options[-1]} is for work on this machine" in outcome.err
    )


def test_embeddings_over_the_wire_are_exact(client: VultusClient, server: Server, photo: Photo) -> None:
    _, vectors = client.embed(photo(10))
    crops = np.full((1, 32, 32, 3), 10, np.uint8)
    direct = server.service.recognizer.embedder.embed(crops)
    assert vectors.tobytes() == direct.tobytes()
