"""The web page in the service: one audit log, one limit, one set of keys."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

pytest.importorskip("gradio", reason="needs the page: pip install 'vultus[ui]'")

# Gradio counts its answers in ways that pandas is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")

Photo = Callable[..., bytes]
Serve = Callable[..., Any]


class Window:
    """What a browser sends when somebody works at the page, without the browser."""

    def __init__(self, server: Any, key: str | None) -> None:
        self.http: httpx.Client = server.client(None, follow_redirects=True)
        if key is not None:
            assert self.http.post("/ui/login", data={"key": server.keys.get(key, key)}).status_code == 200
        told = self.http.get("/ui/en/config").json()
        self._numbers = {one["props"].get("elem_id"): one["id"] for one in told["components"]}
        self._actions = told["dependencies"]

    def upload(self, content: bytes) -> dict[str, Any]:
        (path,) = self.http.post("/ui/en/gradio_api/upload", files={"files": ("a.png", content)}).json()
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def ask(self, place: str, *values: Any, event: str = "click", request_id: str = "") -> httpx.Response:
        """Press a button, or change a field."""
        (action,) = (
            one["id"] for one in self._actions if [self._numbers[place], event] in map(list, one["targets"])
        )
        body = {"data": list(values), "fn_index": action, "session_hash": "window"}
        headers = {"X-Request-Id": request_id}
        return self.http.post("/ui/en/gradio_api/queue/join", json=body, headers=headers)

    def press(self, place: str, *values: Any, **options: Any) -> str:
        """Likewise, and read the notice."""
        self.ask(place, *values, **options).raise_for_status()
        address = "/ui/en/gradio_api/queue/data?session_hash=window"
        with self.http.stream("GET", address) as lines:
            for line in lines.iter_lines():
                told = json.loads(line.removeprefix("data:")) if line else {}
                if told.get("msg") == "process_completed":
                    assert told["success"], told
                    return str(told["output"]["data"][0])
        raise AssertionError("no answer")

    def show_people(self) -> None:
        """Who is not shown cannot be chosen."""
        assert "v-count" in self.press("people-search", "", 1, event="change")


Open = Callable[..., Any]


@pytest.fixture
def window(serve: Serve) -> Iterator[Callable[..., tuple[Any, Window]]]:
    """`window("admin", **settings)`: a service with its page, and somebody who signed in there."""
    opened: list[Window] = []

    def opening(key: str | None, **settings: Any) -> tuple[Any, Window]:
        server = serve(with_page=True, **settings)
        opened.append(Window(server, key))
        return server, opened[-1]

    yield opening
    for one in opened:
        one.http.close()


def test_every_change_on_the_page_stands_in_the_audit_log(window: Open, photo: Photo) -> None:
    server, page = window("admin")
    told = page.press("enrol-start", "Ada", [page.upload(photo(10))], None, "only", request_id="r-1")
    assert "Ada" in told
    (person,) = server.gallery.people()
    page.show_people()
    assert "Lovelace" in page.press("person-rename", person.id, "Ada Lovelace", request_id="r-2")
    page.press("person-delete", person.id, request_id="r-3")  # which only asks
    assert "deleted" in page.press("delete-yes", person.id, request_id="r-4")
    assert server.gallery.people() == []
    assert "Choose" in page.press("delete-yes", None)
    (key,) = (key for key in server.service.keys.list() if key.name == "admin")
    events = server.service.audit.events()
    assert [(one.request_id, one.key_id, one.action, one.target, one.status) for one in events[:3]] == [
        ("r-1", key.id, "page enrol_person", "", 200),
        ("r-2", key.id, "page rename_person", person.id, 200),
        ("r-4", key.id, "page delete_person", person.id, 200),
    ]
    assert [(one.action, one.status) for one in events[3:]] == [("page delete_person", 422)]
    assert len(events[3].request_id) == 32


def test_what_a_key_may_not_do_on_the_page_is_noted_too(window: Open, photo: Photo) -> None:
    server, page = window("read")
    assert "does not allow" in page.press("enrol-start", "Ada", [page.upload(photo(10))], None, "only")
    assert server.gallery.people() == []
    (event,) = server.service.audit.events()
    assert (event.action, event.status) == ("page enrol_person", 403)


def test_who_is_deleted_on_the_page_is_forgotten_in_the_decisions(window: Open, photo: Photo) -> None:
    server, page = window("admin")
    with server.client() as client:
        made = client.post("/v1/people", data={"name": "Ada"}, files={"images": photo(10)}).json()
        client.post("/v1/access/decide", files={"image": photo(10)})
        assert client.get("/v1/attendance").json()["attendance"][0]["name"] == "Ada"
        page.show_people()
        page.press("delete-yes", made["person"]["id"])
        assert client.get("/v1/attendance").json()["attendance"] == []


def test_a_key_has_one_rate_for_page_and_service(window: Open) -> None:
    server, page = window("admin", requests_per_s=0.1, burst=3)
    with server.client() as client:
        assert client.get("/v1/people").status_code == 200
        assert page.ask("delete-yes", None).status_code == 200
        assert client.get("/v1/people").status_code == 200
        refused = page.ask("delete-yes", None)
        assert client.get("/v1/people").status_code == 429
    assert refused.status_code == 429
    assert "wait" in refused.json()["detail"]
    assert 5 <= int(refused.headers["retry-after"]) <= 10
    upload = page.http.post("/ui/en/gradio_api/upload", files={"files": ("a.png", b"x")})
    assert upload.status_code == 429


def test_without_keys_the_page_answers_only_to_this_computers_names(window: Open) -> None:
    _, page = window(None, require_key=False)
    assert page.http.get("/ui/en/").status_code == 200
    assert page.http.get("/ui/en/", headers={"Host": "evil.example"}).status_code == 400


def test_an_open_page_does_not_keep_the_service_from_ending(window: Open) -> None:
    server, page = window("read")
    with page.http.stream("GET", "/ui/en/gradio_api/heartbeat/window") as beats:
        lines = beats.iter_lines()
        assert next(lines) == "data: ALIVE"
        server.server.should_exit = True
        began = time.monotonic()
        assert "".join(lines).strip() in {"", "data: ALIVE"}
    assert time.monotonic() - began < server.service.settings.grace_s / 3


def test_the_page_of_a_service_names_what_stands_behind_its_queues(window: Open) -> None:
    _, page = window("read")
    told = page.http.get("/ui/en/config").text
    assert "PaintedDetector" in told
    assert "Batching" not in told
