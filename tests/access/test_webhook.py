"""The webhook: signed, repeated a bounded number of times, to nowhere else."""

import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from vultus.access.webhook import Webhook, signature
from vultus.errors import InputError

SECRET = "a secret of the two of us"
Messages = list[tuple[bytes, Mapping[str, str]]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Messages, list[int]]]:
    """A real HTTP server: its address, what it got, and the statuses it will answer (then 200)."""
    got: Messages = []
    statuses: list[int] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers)))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, statuses
    server.shutdown()
    thread.join()
    server.server_close()


def wait_for(got: Messages, count: int) -> None:
    end = time.monotonic() + 20
    while len(got) < count:
        assert time.monotonic() < end, f"got {len(got)} of {count}"
        time.sleep(0.01)


def test_a_message_arrives_signed(receiver: tuple[str, Messages, list[int]]) -> None:
    url, got, _ = receiver
    hook = Webhook(url, SECRET)
    assert hook.send({"outcome": "allow", "name": "名"})
    hook.close()
    hook.close()
    ((body, headers),) = got
    assert json.loads(body) == {"outcome": "allow", "name": "名"}
    told = dict(part.split("=") for part in headers["Vultus-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), told["t"].encode() + b"." + body, sha256).hexdigest()
    assert told["v1"] == expected
    assert abs(int(told["t"]) - time.time()) < 60


def test_it_is_repeated_until_it_is_taken(receiver: tuple[str, Messages, list[int]]) -> None:
    url, got, statuses = receiver
    statuses += [500, 503]
    hook = Webhook(url, SECRET, waits_s=(0.01, 0.01, 0.01))
    hook.send({"n": 1})
    wait_for(got, 3)
    hook.send({"n": 2})
    hook.close()
    assert [json.loads(body)["n"] for body, _ in got] == [1, 1, 1, 2]


def test_it_gives_up_after_its_attempts(
    receiver: tuple[str, Messages, list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    url, got, statuses = receiver
    statuses += [500] * 3
    hook = Webhook(url, SECRET, waits_s=(0.01, 0.01))
    hook.send({"n": 1})
    wait_for(got, 3)
    hook.close()
    assert len(got) == 3
    assert "not delivered (HTTP 500)" in caplog.text
    assert '"n"' not in caplog.text


def test_a_redirect_is_not_followed(receiver: tuple[str, Messages, list[int]]) -> None:
    url, got, statuses = receiver
    statuses += [307]
    hook = Webhook(url, SECRET, waits_s=(0.01,))
    hook.send({"n": 1})
    wait_for(got, 2)
    hook.close()
    assert len(got) == 2, "asked again at its own address"


def test_an_answer_is_never_waited_for() -> None:
    free = threading.Event()

    def slow(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        free.wait(20)
        raise requests.ConnectionError

    hook = Webhook("https://x.example", SECRET, waits_s=(), post=slow)
    began = time.monotonic()
    taken = [hook.send({}) for _ in range(1100)]
    assert time.monotonic() - began < 5
    assert taken.count(False) >= 99, "a thousand wait, the rest is dropped"
    free.set()
    hook.close()


def test_the_signature_is_the_documented_one() -> None:
    assert (
        signature("0123456789abcdef", b"{}", at=1)
        == "t=1,v1=" + hmac.new(b"0123456789abcdef", b"1.{}", sha256).hexdigest()
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://faces.example/x",
        "ftp://x",
        "https://",
        "file:///etc/passwd",
        "https://a:b@x.example",
        "http://10.0.0.1/",
    ],
)
def test_an_unsafe_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="address"):
        Webhook(url, SECRET)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(InputError, match="secret"):
        Webhook("https://x.example", "short")
