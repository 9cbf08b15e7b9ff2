"""Decisions at doors over HTTP: logged, told to a webhook, summed up as attendance."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

Photo = Callable[..., bytes]
Serve = Callable[..., Any]

DOORS = """
timezone = "Europe/Berlin"
[doors.lab]
groups = { team = ["blue"] }
[doors.front]
everybody = true
"""


@pytest.fixture
def lab(serve: Serve, photo: Photo, tmp_path: Path) -> Any:
    file = tmp_path / "doors.toml"
    file.write_text(DOORS)
    server = serve(doors=file)
    with server.client() as client:
        for name, grey, team in (("Ada", 10, "blue"), ("Bob", 20, "red")):
            data = {"name": name, "metadata": json.dumps({"team": team})}
            assert client.post("/v1/people", data=data, files={"images": photo(grey)}).status_code == 201
    return server


def decide(server: Any, photo: bytes, door: str) -> Any:
    with server.client("decide") as client:
        return client.post("/v1/access/decide", data={"door": door}, files={"image": photo})


def test_a_door_allows_denies_or_is_unsure(lab: Any, photo: Photo) -> None:
    told = {
        (10, "lab"): ("allow", ["admitted"], "Ada"),
        (20, "lab"): ("deny", ["not_admitted_here"], "Bob"),
        (20, "front"): ("allow", ["admitted"], "Bob"),
        (30, "front"): ("deny", ["unknown_person"], None),
    }
    for (grey, door), expected in told.items():
        answer = decide(lab, photo(grey), door).json()
        assert (answer["outcome"], answer["reasons"], answer["name"]) == expected
    assert decide(lab, photo(), "front").json()["reasons"] == ["no_face"]
    assert decide(lab, photo(10, 20), "front").json()["reasons"] == ["several_faces"]
    assert decide(lab, photo(10), "cellar").status_code == 404


def test_every_decision_is_logged_with_its_request(lab: Any, photo: Photo) -> None:
    answer = decide(lab, photo(10), "lab")
    event = lab.service.audit.events()[-1]
    assert (event.action, event.status) == ("POST /v1/access/decide", 200)
    assert event.request_id == answer.headers["x-request-id"]
    assert event.key_id == lab.keys["decide"].split("_")[1]


def test_attendance_follows_from_decisions(lab: Any, photo: Photo) -> None:
    for grey, door in ((10, "lab"), (20, "lab"), (10, "front"), (30, "front")):
        decide(lab, photo(grey), door)
    with lab.client("read") as client:
        today = client.get("/v1/attendance").json()
        ada_id = lab.gallery.find("Ada").id
        ada = client.get("/v1/attendance", params={"person_id": ada_id}).json()["attendance"]
        refused = [
            client.get("/v1/attendance", params=params).status_code
            for params in ({"from": "2026-02-02", "to": "2026-02-01"}, {"from": "0001-01-01"}, {"from": "x"})
        ]
    assert today["timezone"] == "Europe/Berlin"
    assert [(one["name"], one["times_seen"], one["times_allowed"]) for one in today["attendance"]] == [
        ("Ada", 2, 2),
        ("Bob", 1, 0),
    ]
    assert [one["doors"] for one in ada] == [["front", "lab"]]
    assert refused == [422, 422, 422]


def test_a_deleted_person_leaves_the_attendance(lab: Any, photo: Photo) -> None:
    decide(lab, photo(10), "lab")
    with lab.client() as client:
        client.delete(f"/v1/people/{lab.gallery.find('Ada').id}")
        assert client.get("/v1/attendance").json()["attendance"] == []


def test_a_webhook_is_told(serve: Serve, photo: Photo) -> None:
    told: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{receiver.server_port}/hook"
        answer = decide(serve(webhook_url=url, webhook_secret="0123456789abcdef"), photo(10), "default")
        thread.join(20)
    (message,) = told
    assert message == answer.json() | {"event": "decision", "request_id": answer.headers["x-request-id"]}
