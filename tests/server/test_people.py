"""People and their templates over HTTP."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Photo = Callable[..., bytes]
Server = Any


def create(client: httpx.Client, name: str, *photos: bytes, **more: Any) -> httpx.Response:
    images = [base64.b64encode(one).decode() for one in photos]
    return client.post("/v1/people", json={"name": name, "images": images} | more)


def test_a_person_is_enrolled_found_changed_and_deleted(server: Server, photo: Photo) -> None:
    with server.client() as client:
        made = create(client, "Ada", photo(10), metadata={"team": "blue"})
        assert made.status_code == 201
        ada = made.json()["person"]
        assert (ada["name"], ada["metadata"], ada["template_count"]) == ("Ada", {"team": "blue"}, 1)
        assert made.json()["qualities"][0]["reasons"] == []
        assert client.get(f"/v1/people/{ada['id']}").json() == ada

        changed = client.patch(
            f"/v1/people/{ada['id']}", json={"name": "Ada L.", "metadata": {"team": "red"}}
        )
        assert changed.json() == ada | {"name": "Ada L.", "metadata": {"team": "red"}}

        assert client.delete(f"/v1/people/{ada['id']}").status_code == 204
        gone = client.get(f"/v1/people/{ada['id']}")
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "not_enrolled_error"
    assert server.gallery.people() == []


def test_multipart_enrols_with_metadata_as_json(server: Server, photo: Photo) -> None:
    with server.client("enrol") as client:
        answer = client.post(
            "/v1/people",
            data={"name": "Ada", "metadata": '{"team": ["blue"]}'},
            files=[("images", photo(10)), ("images", photo(10))],
        )
    assert answer.status_code == 201, answer.text
    assert answer.json()["person"]["metadata"] == {"team": ["blue"]}
    assert answer.json()["person"]["template_count"] == 2


def test_a_name_that_is_taken_is_a_conflict(server: Server, photo: Photo) -> None:
    with server.client() as client:
        ada = create(client, "Ada", photo(10)).json()["person"]
        again = create(client, "Ada", photo(10))
        alike = create(client, "ADA", photo(20))
        bob = create(client, "Bob", photo(20)).json()["person"]
        renamed = client.patch(f"/v1/people/{bob['id']}", json={"name": "ada"})
    assert [one.status_code for one in (again, alike, renamed)] == [409, 409, 409]
    assert ada["id"] in again.json()["error"]["message"]
    assert len(server.gallery.people()) == 2


def test_people_come_in_pages_and_are_searched(server: Server, photo: Photo) -> None:
    with server.client() as client:
        for grey, name in enumerate(["Ada", "Adam", "Bob", "Eve"], start=1):
            assert create(client, name, photo(40 * grey)).status_code == 201
        first = client.get("/v1/people", params={"limit": 3}).json()
        second = client.get("/v1/people", params={"limit": 3, "offset": 3}).json()
        found = client.get("/v1/people", params={"search": "aDA"}).json()
    assert [one["name"] for one in first["people"] + second["people"]] == ["Ada", "Adam", "Bob", "Eve"]
    assert first["total"] == second["total"] == 4
    assert [one["name"] for one in found["people"]] == ["Ada", "Adam"]
    assert found["total"] == 2


def test_templates_are_added_listed_and_deleted(server: Server, photo: Photo) -> None:
    with server.client() as client:
        ada = create(client, "Ada", photo(10)).json()["person"]
        place = f"/v1/people/{ada['id']}/templates"
        added = client.post(place, files=[("images", photo(10))])
        assert added.status_code == 201
        assert added.json()["person"]["template_count"] == 2
        templates = client.get(place, params={"crops": True}).json()["templates"]
        assert base64.b64decode(templates[0]["crop"]).startswith(b"\x89PNG")
        assert client.get(place).json()["templates"][0]["crop"] is None
        assert client.delete(f"{place}/{templates[0]['id']}").json()["template_count"] == 1
        last = client.delete(f"{place}/{templates[1]['id']}")
        missing = client.delete(f"{place}/999999")
    assert (last.status_code, missing.status_code) == (409, 404)


def test_somebody_elses_photo_is_refused_unless_forced(server: Server, photo: Photo) -> None:
    with server.client() as client:
        ada = create(client, "Ada", photo(10)).json()["person"]
        place = f"/v1/people/{ada['id']}/templates"
        refused = client.post(place, files=[("images", photo(20))])
        forced = client.post(place, files=[("images", photo(20))], data={"force": "true"})
    assert refused.status_code == 409
    assert "looks different" in refused.json()["error"]["message"]
    assert forced.status_code == 201


def test_a_write_with_an_idempotency_key_happens_once(server: Server, photo: Photo) -> None:
    with server.client() as client:
        ada = create(client, "Ada", photo(10)).json()["person"]
        place = f"/v1/people/{ada['id']}/templates"
        send = {"files": [("images", photo(10))], "headers": {"Idempotency-Key": "once"}}
        body = client.build_request("POST", place, **send)
        first = client.send(body)
        second = client.send(body)
        other = client.post(place, files=[("images", photo(11))], headers={"Idempotency-Key": "once"})
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    assert server.gallery.find(ada["id"]).template_count == 2
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "repeated_request_error"


@pytest.mark.parametrize("token", ["", "x" * 201])
def test_an_impossible_idempotency_key_is_refused(server: Server, photo: Photo, token: str) -> None:
    with server.client() as client:
        answer = client.post(
            "/v1/people",
            data={"name": "Ada"},
            files=[("images", photo(10))],
            headers={"Idempotency-Key": token},
        )
    assert answer.status_code == 422
    assert server.gallery.people() == []


def test_refusals_are_repeated_too(server: Server, photo: Photo) -> None:
    headers = {"Idempotency-Key": "refused"}
    with server.client() as client:
        body = client.build_request(
            "POST", "/v1/people", data={"name": "Ada"}, files={"images": photo()}, headers=headers
        )
        first, second = client.send(body), client.send(body)
    assert first.status_code == second.status_code == 422
    assert first.json() == second.json()


def test_writes_stand_in_the_audit_log_without_images(server: Server, photo: Photo) -> None:
    with server.client("enrol") as client:
        made = client.post("/v1/people", data={"name": "Ada"}, files=[("images", photo(10))])
        person_id = made.json()["person"]["id"]
        refused = client.delete(f"/v1/people/{person_id}")
    assert refused.status_code == 403
    events = server.service.audit.events()[-2:]
    assert [(one.action, one.target, one.status) for one in events] == [
        ("POST /v1/people", "", 201),
        ("DELETE /v1/people/{person_id}", person_id, 403),
    ]
    assert events[0].request_id == made.headers["x-request-id"]
    assert events[0].key_id == server.keys["enrol"].split("_")[1]
