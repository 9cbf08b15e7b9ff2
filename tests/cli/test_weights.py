"""`vultus weights`, run as a user runs it, with the shared RetinaFace served by a local mirror."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vultus.cli.weights import app
from vultus.errors import ChecksumError, WeightsError
from vultus.weights.catalog import CATALOG

WIDE = {"COLUMNS": "250"}
COMMANDS = ["list", "pull", "verify", "path"]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    return tmp_path / "home"


@pytest.fixture
def retinaface(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path, shared: Path) -> Iterator[Path]:
    """Where RetinaFace will lie once it is pulled; a mirror serves the published file."""
    served = tmp_path / "mirror"
    served.mkdir()
    shutil.copy(shared / "weights" / "retinaface-mobilenet0.25.pth", served / "mobilenet0.25_Final.pth")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("VULTUS_MIRROR", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("VULTUS_OFFLINE", "0")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield home / "weights" / "mobilenet0.25_Final.pth"
        server.shutdown()
        thread.join()


def run(*arguments: str) -> str:
    """What the command prints; its error is raised, as the main program expects."""
    result = CliRunner().invoke(app, list(arguments), env=WIDE)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_shows_every_entry_with_licences_and_figures() -> None:
    output = run("list")
    assert [name for name in CATALOG if name not in output] == []
    line = next(line for line in output.splitlines() if "arcface-iresnet50-w600k" in line)
    for part in ("recognition", "IResNet-50", "166.0", "MIT / non-commercial / WebFace600K", "LFW 99.83"):
        assert part in line
    assert "WIDER FACE val 90.70/88.16/73.82 (original size)" in output


def test_list_can_be_narrowed_to_a_task_and_to_commercial_terms() -> None:
    names = [
        one["name"] for one in json.loads(run("list", "--task", "recognition", "--commercial", "--json"))
    ]
    assert names == ["sface-int8bq", "sface"]


def test_list_as_json_holds_all_that_is_known() -> None:
    entries = {one["name"]: one for one in json.loads(run("list", "--json"))}
    assert set(entries) == set(CATALOG)
    sface = entries["sface-int8bq"]
    assert sface["present"] is True
    assert sface["commercial_obstacle"] is None
    assert sface["preprocessing"]["alignment"] == {"size_px": 112, "kind": "five_point"}
    assert entries["sface"]["present"] is False
    assert "copyleft" in entries["yolov5s-face"]["commercial_obstacle"]


def test_an_unknown_task_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["list", "--task", "cooking"]).exit_code == 2


def test_pull_fetches_verifies_and_prints_the_path(retinaface: Path) -> None:
    assert run("pull", "retinaface-mobilenet0.25-pth") == f"{retinaface}\n"
    assert retinaface.stat().st_size == 1_789_735
    assert run("path", "retinaface-mobilenet0.25-pth") == f"{retinaface}\n"
    assert "as published" in run("verify", "retinaface-mobilenet0.25-pth")


def test_a_damaged_file_fails_verify_and_is_healed_by_force(retinaface: Path) -> None:
    run("pull", "retinaface-mobilenet0.25-pth")
    data = bytearray(retinaface.read_bytes())
    data[1000] ^= 1
    retinaface.write_bytes(data)
    with pytest.raises(
        WeightsError, match=r"1 of .* could not be verified: retinaface-mobilenet0\.25-pth"
    ) as caught:
        run("verify")
    assert caught.value.exit_code == 3
    for arguments in (("path", "retinaface-mobilenet0.25-pth"), ("pull", "retinaface-mobilenet0.25-pth")):
        with pytest.raises(ChecksumError, match=r"vultus weights pull --force retinaface-mobilenet0\.25-pth"):
            run(*arguments)
    run("pull", "--force", "retinaface-mobilenet0.25-pth")
    assert "as published" in run("verify")


def test_pull_offline_says_what_to_do(home: Path) -> None:
    with pytest.raises(WeightsError, match="VULTUS_OFFLINE") as caught:
        run("pull", "sface")
    for part in ("https://github.com/opencv", str(home / "weights"), "0ba9fbfa01b5"):
        assert part in str(caught.value)


def test_pull_for_commercial_use_refuses_before_anything_is_fetched(home: Path) -> None:
    with pytest.raises(WeightsError, match=r"yolov5n-face is refused for commercial use: .*copyleft"):
        run("pull", "--commercial", "yunet", "yolov5n-face")
    assert not home.exists()


def test_pull_of_what_came_with_a_package_verifies_it() -> None:
    assert run("pull", "--commercial", "sface-int8bq").endswith(
        "face_recognition_sface_2021dec_int8bq.onnx\n"
    )


def test_a_typo_is_answered_with_close_names() -> None:
    with pytest.raises(WeightsError, match="did you mean sface"):
        run("pull", "sfase")


def test_path_never_downloads(retinaface: Path) -> None:
    with pytest.raises(WeightsError, match="vultus weights pull"):
        run("path", "retinaface-mobilenet0.25-pth")
    assert not retinaface.exists()


def test_verify_without_names_checks_what_is_here() -> None:
    output = run("verify")
    assert "sface-int8bq" in output
    assert "arcface" not in output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: vultus weights {command}" in run(command, "--help")
