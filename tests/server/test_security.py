"""Who may do what: tested for every route there is, by enumerating them."""

import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from vultus.access.keys import ApiKey, ApiKeys, Scope
from vultus.errors import InputError
from vultus.server import Settings
from vultus.server.guard import GuardedRoute
from vultus.server.routes import ROUTES

Photo = Callable[..., bytes]
Server = Any
Serve = Callable[..., Any]
PUBLIC = {"/healthz", "/readyz", "/openapi.json"}
GUARDED = [route for route in ROUTES if isinstance(route, GuardedRoute)]


def name_of(route: GuardedRoute) -> str:
    return f"{route.method} {route.path}"


def call(server: Server, route: GuardedRoute, key: str | None) -> Any:
    path = re.sub(r"\{\w+\}", "0", route.path)
    with server.client(key) as client:
        return client.request(route.method, path)


def test_every_route_is_behind_the_guard_or_on_the_short_list(server: Server) -> None:
    with server.client(None) as client:
        paths = client.get("/openapi.json").json()["paths"]
    routes: list[BaseRoute] = list(ROUTES)
    open_routes = {route.path for route in routes if isinstance(route, APIRoute) and route not in GUARDED}
    assert len(GUARDED) > 15
    assert open_routes | {"/openapi.json"} == PUBLIC
    assert set(paths) == {route.path for route in GUARDED} | open_routes
    for path in PUBLIC:
        with server.client(None) as client:
            assert client.get(path).status_code == 200


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_without_a_valid_key_nothing_is_answered(server: Server, route: GuardedRoute) -> None:
    right = server.keys["admin"]
    wrong = [None, "nonsense", right[:-1] + ("a" if right[-1] != "a" else "b"), right.split("_")[0], "_", "é"]
    for key in wrong:
        headers = {} if key is None else {"X-API-Key": key.encode()}
        with server.client(None) as client:
            answer = client.request(route.method, re.sub(r"\{\w+\}", "0", route.path), headers=headers)
        assert answer.status_code == 401, key
        assert answer.json()["error"]["code"] == "credentials_error"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_a_key_opens_what_its_scope_includes_and_nothing_else(server: Server, route: GuardedRoute) -> None:
    for scope in Scope:
        answer = call(server, route, str(scope))
        if ApiKey("", "", (scope,), "").allows(route.needs):
            assert answer.status_code not in {401, 403}, scope
        else:
            assert answer.status_code == 403, scope
            assert answer.json()["error"]["code"] == "scope_error"


@pytest.mark.parametrize("route", [route for route in GUARDED if route.is_write], ids=name_of)
def test_a_read_key_writes_nothing(server: Server, route: GuardedRoute) -> None:
    assert route.needs != Scope.READ
    assert call(server, route, "read").status_code == 403


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_whatever_is_not_get_and_changes_something_is_called_a_write(route: GuardedRoute) -> None:
    asks_only = {"/v1/detect", "/v1/embed", "/v1/verify", "/v1/identify"}
    assert route.is_write or route.method == "GET" or route.path in asks_only


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_a_revoked_key_opens_nothing(server: Server, route: GuardedRoute) -> None:
    keys: ApiKeys = server.service.keys
    key, text = keys.create("soon gone", [Scope.ADMIN])
    assert call(server, route, text).status_code != 401
    keys.revoke(key.id)
    assert call(server, route, text).status_code == 401


def test_a_key_is_stored_as_a_hash_in_a_file_of_its_owner(server: Server) -> None:
    path: Path = server.service.settings.store
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    for key in server.keys.values():
        _, key_id, secret = key.split("_", 2)
        assert key_id.encode() in content
        assert secret.encode() not in content


def test_a_key_may_come_in_either_header(server: Server) -> None:
    with server.client(None) as client:
        for headers in (
            {"X-API-Key": server.keys["read"]},
            {"Authorization": f"bearer {server.keys['read']}"},
        ):
            assert client.get("/v1/people", headers=headers).status_code == 200


def test_every_answer_has_the_headers_that_keep_browsers_out(server: Server) -> None:
    with server.client("read") as client:
        answers = [client.get(path) for path in ("/v1/people", "/nowhere", "/healthz", "/v1/people/0")]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answers[1].json()["error"]["code"] == "not_found"


def test_a_harmless_request_id_is_kept_and_another_replaced(server: Server) -> None:
    with server.client("read") as client:
        kept = client.get("/v1/people", headers={"X-Request-Id": "from-me.1"})
        replaced = client.get("/v1/people", headers={"X-Request-Id": "<script>"})
    assert kept.headers["x-request-id"] == "from-me.1"
    assert "<" not in replaced.headers["x-request-id"]


def test_only_the_named_origins_may_call_from_a_browser(serve: Serve) -> None:
    server = serve(cors_origins=("https://intranet.example",))
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    with server.client(None) as client:
        ours = client.options("/v1/detect", headers=asks | {"Origin": "https://intranet.example"})
        theirs = client.options("/v1/detect", headers=asks | {"Origin": "https://evil.example"})
    assert ours.headers["access-control-allow-origin"] == "https://intranet.example"
    assert "access-control-allow-origin" not in theirs.headers
    assert "access-control-allow-credentials" not in ours.headers


def test_a_key_that_asks_too_often_waits(serve: Serve) -> None:
    server = serve(requests_per_s=0.5, burst=3)
    with server.client("read") as client:
        answers = [client.get("/v1/people") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "busy_error"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    with server.client("admin") as other:
        assert other.get("/v1/people").status_code == 200, "another key has a bucket of its own"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_without_keys_it_listens_on_this_machine_only(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this machine only"):
        Settings(store=tmp_path / "s.db", require_key=False, host=host)
    assert Settings(store=tmp_path / "s.db", require_key=False, host="::1").host == "::1"


def test_without_keys_other_sites_pages_are_not_answered(serve: Serve, photo: Photo) -> None:
    server = serve(require_key=False)
    with server.client(None) as client:
        assert client.get("/v1/people").status_code == 200
        own = client.get("/v1/people", headers={"Origin": server.url})
        foreign = client.post(
            "/v1/people",
            data={"name": "Eve"},
            files={"images": photo(10)},
            headers={"Origin": "https://evil.example"},
        )
        rebound = client.get("/v1/people", headers={"Host": "evil.example"})
    assert own.status_code == 200
    assert (foreign.status_code, rebound.status_code) == (403, 403)
    assert server.gallery.people() == []


@pytest.mark.parametrize("origin", ["*", "https://*.example", "intranet.example", "https://a.example/"])
def test_a_lax_cors_origin_is_refused(origin: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CORS"):
        Settings(store=tmp_path / "s.db", cors_origins=(origin,))


def test_paths_of_the_server_are_not_told(server: Server, tmp_path: Path) -> None:
    with server.client() as client:
        missing = client.get(f"/v1/people/{'0' * 32}").json()["error"]["message"]
        broken = client.post("/v1/gallery/import", content=b"no archive").json()["error"]["message"]
    assert "people.db" in missing
    assert "upload.zip" in broken
    assert "/" not in missing.replace("/v1", "")
    assert "/" not in broken


def test_a_plain_socket_gets_no_stack_trace(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"\x00\x01nonsense\r\n\r\n")
        answer = line.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Traceback" not in answer
