"""Downloads from a real HTTP server on this machine: what arrives, what is refused, what is left behind."""

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

import pytest

from vultus.errors import ChecksumError, WeightsError
from vultus.weights import store
from vultus.weights.catalog import Licence, Preprocessing, UrlFile, WeightsEntry, WeightsFile, entry
from vultus.weights.download import fetch

BODY = bytes(range(256)) * 1200  # 307,200 bytes: several network packets
SHA256 = hashlib.sha256(BODY).hexdigest()
AT_ONCE = (0.0, 0.0)  # three attempts without pauses

Reply: TypeAlias = Callable[[BaseHTTPRequestHandler], None]

FETCH = """
import sys
from pathlib import Path
from vultus.weights.download import fetch
print("ready", flush=True)
fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])
"""


def sending(
    body: bytes, *, length: int | None = None, piece: int = 1 << 20, before_piece: Callable[[], object] = bool
) -> Reply:
    """A reply that promises `length` bytes and sends `body` in pieces, calling something before each."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        for start in range(0, len(body), piece):
            before_piece()
            request.wfile.write(body[start : start + piece])

    return reply


def refusing(status: int) -> Reply:
    return lambda request: request.send_error(status)


WHOLE = sending(BODY)
CUT = sending(BODY[:1000], length=len(BODY))


class Server:
    """Answers with the given replies in turn (the last one for ever), and notes every path asked for."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.asked: list[str] = []
        noted = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with noted:
                    server.asked.append(self.path)
                    reply = replies[min(len(server.asked), len(replies)) - 1]
                reply(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class QuietServer(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that gives up breaks the pipe: that is what some tests are about

        self._http = QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:
        yield lambda *replies: stack.enter_context(Server(replies))


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("VULTUS_OFFLINE", raising=False)
    monkeypatch.delenv("VULTUS_MIRROR", raising=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "net.onnx"


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root may write anywhere: for this test, be somebody else."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def visible(folder: Path) -> list[str]:
    """What lies in the folder, apart from the (empty) lock files."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def weights_at(url: str, *, sha256: str = SHA256) -> WeightsEntry:
    return WeightsEntry(
        name="test-net",
        task="detection",
        architecture="none",
        files=(WeightsFile("net.onnx", UrlFile(url), sha256=sha256),),
        preprocessing=Preprocessing(),
        licence=Licence("MIT", "MIT", "none"),
        paper="none",
    )


def test_a_good_file_arrives_whole_and_nothing_else_is_left(
    serve: Callable[..., Server], target: Path
) -> None:
    server = serve(WHOLE)
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert visible(target.parent) == ["net.onnx"]


def test_a_file_that_is_here_is_not_fetched_again_unless_it_is_to_be_replaced(
    serve: Callable[..., Server], target: Path
) -> None:
    server = serve(WHOLE)
    target.parent.mkdir()
    target.write_bytes(b"here")
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256)
    assert (server.asked, target.read_bytes()) == ([], b"here")
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256, replace=True)
    assert target.read_bytes() == BODY


def test_other_bytes_are_refused_at_once_and_nothing_is_left_of_them(
    serve: Callable[..., Server], target: Path
) -> None:
    server = serve(sending(b"<html>Please log in</html>"))
    with pytest.raises(ChecksumError, match=SHA256) as caught:
        fetch(f"{server.url}/net.onnx", target, sha256=SHA256, pauses_s=AT_ONCE)
    assert hashlib.sha256(b"<html>Please log in</html>").hexdigest() in str(caught.value)
    assert visible(target.parent) == []
    assert len(server.asked) == 1  # asking again would not help


def test_other_bytes_do_not_replace_the_file_that_was_here(
    serve: Callable[..., Server], target: Path
) -> None:
    server = serve(sending(b"wrong"))
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(ChecksumError):
        fetch(f"{server.url}/net.onnx", target, sha256=SHA256, replace=True)
    assert target.read_bytes() == b"old"
    assert visible(target.parent) == ["net.onnx"]


def test_a_connection_cut_once_is_tried_again_from_the_start(
    serve: Callable[..., Server], target: Path
) -> None:
    server = serve(CUT, WHOLE)
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256, pauses_s=AT_ONCE)
    assert target.read_bytes() == BODY
    assert len(server.asked) == 2


def test_a_connection_cut_every_time_says_how_to_do_without_it(
    serve: Callable[..., Server], target: Path
) -> None:
    server = serve(CUT)
    with pytest.raises(WeightsError) as caught:
        fetch(f"{server.url}/net.onnx", target, sha256=SHA256, pauses_s=AT_ONCE)
    for part in ("net.onnx", f"{server.url}/net.onnx", str(target.parent), SHA256):
        assert part in str(caught.value)
    assert visible(target.parent) == []
    assert len(server.asked) == 3


def test_a_missing_file_is_not_asked_for_twice(serve: Callable[..., Server], target: Path) -> None:
    server = serve(refusing(404))
    with pytest.raises(WeightsError, match="404") as caught:
        fetch(f"{server.url}/net.onnx", target, sha256=SHA256, pauses_s=AT_ONCE)
    for part in (f"{server.url}/net.onnx", str(target), SHA256):
        assert part in str(caught.value)
    assert len(server.asked) == 1
    assert visible(target.parent) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(serve: Callable[..., Server], target: Path, status: int) -> None:
    server = serve(refusing(status), WHOLE)
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256, pauses_s=AT_ONCE)
    assert len(server.asked) == 2


def test_a_server_that_falls_silent_is_given_up(serve: Callable[..., Server], target: Path) -> None:
    end = threading.Event()
    server = serve(sending(BODY, piece=1000, before_piece=lambda: end.wait(0.3)))
    started = time.monotonic()
    with pytest.raises(WeightsError, match="timed out"):
        fetch(f"{server.url}/net.onnx", target, sha256=SHA256, timeout_s=0.1, pauses_s=AT_ONCE)
    end.set()
    assert len(server.asked) == 3
    assert time.monotonic() - started < 5
    assert visible(target.parent) == []


def test_a_slow_but_steady_server_is_waited_for(serve: Callable[..., Server], target: Path) -> None:
    server = serve(sending(BODY, piece=50_000, before_piece=lambda: time.sleep(0.1)))
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256, timeout_s=0.5)  # 0.7 s in all
    assert len(server.asked) == 1


def test_a_refused_connection_says_how_to_do_without_it(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(WeightsError, match="refused") as caught:
        fetch(f"http://127.0.0.1:{port}/net.onnx", target, sha256=SHA256, pauses_s=AT_ONCE)
    assert str(target) in str(caught.value)
    assert SHA256 in str(caught.value)


def test_two_processes_at_once_download_once(serve: Callable[..., Server], target: Path) -> None:
    gate = threading.Event()
    server = serve(sending(BODY, before_piece=lambda: gate.wait(30)))
    command = [sys.executable, "-c", FETCH, f"{server.url}/net.onnx", str(target), SHA256]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    wait_until(lambda: len(server.asked) == 1)
    time.sleep(0.5)  # the second process has had its chance to ask too
    gate.set()
    outcomes = [(process.communicate(timeout=30), process.returncode) for process in both]
    assert [code for _, code in outcomes] == [0, 0]
    assert len(server.asked) == 1
    assert target.read_bytes() == BODY
    assert visible(target.parent) == ["net.onnx"]


def test_a_killed_download_leaves_no_file_and_no_lock_that_holds(
    serve: Callable[..., Server], target: Path
) -> None:
    gate = threading.Event()
    stuck = sending(BODY, piece=100_000, before_piece=lambda: gate.wait(0.5))
    server = serve(stuck, WHOLE)
    command = [sys.executable, "-c", FETCH, f"{server.url}/net.onnx", str(target), SHA256]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        wait_until(lambda: target.parent.is_dir() and visible(target.parent) == [".net.onnx.part"])
        process.kill()
    gate.set()
    assert not target.exists()
    fetch(f"{server.url}/net.onnx", target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert visible(target.parent) == ["net.onnx"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 s in vain"
        time.sleep(0.01)


@pytest.mark.parametrize(("value", "is_offline"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_offline_means_that_the_network_is_never_touched(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, value: str, is_offline: bool
) -> None:
    server = serve(WHOLE)
    monkeypatch.setenv("VULTUS_OFFLINE", value)
    weights = weights_at(f"{server.url}/net.onnx")
    if not is_offline:
        assert store.find(weights).read_bytes() == BODY
        return
    with pytest.raises(WeightsError, match="VULTUS_OFFLINE") as caught:
        store.find(weights)
    for part in (f"{server.url}/net.onnx", str(Path("home", "weights", "net.onnx")), SHA256):
        assert part in str(caught.value)
    assert server.asked == []


def test_a_file_put_there_by_hand_is_used_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    path = tmp_path / "home" / "weights" / "net.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert store.find(weights_at("http://127.0.0.1:9/net.onnx")) == path


def test_a_mirror_replaces_the_publisher_but_not_the_hash(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(WHOLE, sending(b"a bad mirror"))
    monkeypatch.setenv("VULTUS_MIRROR", f"{server.url}/models/")
    weights = weights_at("https://publisher.invalid/releases/v1/net.onnx")
    assert store.read(weights) == BODY
    assert server.asked == ["/models/net.onnx"]
    with pytest.raises(ChecksumError, match=r"/models/net\.onnx"):
        store.pull(weights, force=True)


def test_find_downloads_once_and_only_if_it_may(serve: Callable[..., Server]) -> None:
    server = serve(WHOLE)
    weights = weights_at(f"{server.url}/net.onnx")
    assert not store.is_present(weights)
    with pytest.raises(WeightsError, match="vultus weights pull"):
        store.find(weights, download=False)
    assert server.asked == []
    assert store.find(weights) == store.find(weights)
    assert store.is_present(weights)
    assert len(server.asked) == 1


def test_pull_by_force_heals_a_damaged_file(serve: Callable[..., Server]) -> None:
    server = serve(WHOLE)
    weights = weights_at(f"{server.url}/net.onnx")
    path = store.find(weights)
    path.write_bytes(BODY[:-1])
    with pytest.raises(ChecksumError, match="pull --force test-net"):
        store.pull(weights)
    assert store.pull(weights, force=True) == [path]
    assert path.read_bytes() == BODY


def test_a_folder_that_may_not_be_written_is_named(serve: Callable[..., Server], ordinary_user: None) -> None:
    server = serve(WHOLE)
    folder = Path(tempfile.mkdtemp())  # not tmp_path, which only its owner may enter
    try:
        folder.chmod(0o555)
        with pytest.raises(WeightsError, match=r"cannot write .*VULTUS_HOME") as caught:
            fetch(f"{server.url}/net.onnx", folder / "net.onnx", sha256=SHA256)
        assert str(folder) in str(caught.value)
    finally:
        folder.rmdir()
    assert server.asked == []


def test_a_file_where_the_folder_should_be_is_named(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(WHOLE)
    (tmp_path / "file").touch()
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="cannot write"):
        store.find(weights_at(f"{server.url}/net.onnx"))


def test_the_published_retinaface_comes_over_the_wire_with_the_catalogue_hash(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    published = (shared / "weights" / "retinaface-mobilenet0.25.pth").read_bytes()
    server = serve(sending(published))
    monkeypatch.setenv("VULTUS_MIRROR", server.url)
    weights = entry("retinaface-mobilenet0.25-pth")
    assert store.read(weights) == published
    assert len(published) == weights.files[0].n_bytes
    assert server.asked == ["/mobilenet0.25_Final.pth"]
