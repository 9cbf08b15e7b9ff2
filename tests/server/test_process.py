"""The service as a process: first key, workers, TLS, termination, kill -9; with the real engine."""

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from vultus.runtime import choose_runtime

KILLED = Path(__file__).with_name("killed_service.py")
Command = Callable[..., Any]


@contextmanager
def service(gallery: Path, *options: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`vultus serve` on a free port, and what it printed."""
    command = [sys.executable, "-u", "-m", "vultus", "serve", "--port", "0", "--gallery", gallery, *options]
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    told = ""
    while "listening on" not in told and process.poll() is None:
        told += process.stdout.readline()
    try:
        yield process, told
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def address(told: str) -> str:
    found = re.search(r"listening on (\S+)", told)
    assert found, told
    return found[1]


def first_key(told: str) -> str:
    found = re.search(r"shown this once: (\S+)", told)
    assert found, told
    return found[1]


def client(told: str, key: str, **options: Any) -> httpx.Client:
    transport = httpx.HTTPTransport(verify=options.pop("verify", False))
    return httpx.Client(
        base_url=address(told), headers={"X-API-Key": key}, timeout=120, transport=transport, **options
    )


def test_the_first_key_is_shown_once_and_the_real_engine_answers(
    tmp_path: Path, astronaut: Path, coffee: Path
) -> None:
    gallery = tmp_path / "people.db"
    with service(gallery) as (process, told), client(told, first_key(told)) as http:
        assert http.get("/readyz").status_code == 200
        photo = astronaut.read_bytes()
        made = http.post("/v1/people", data={"name": "Eileen"}, files={"images": photo})
        assert made.status_code == 201, made.text
        seen = http.post("/v1/identify", files=[("images", photo), ("images", coffee.read_bytes())]).json()
        assert [one["answer"] for one in seen["results"]] == ["known", "no_face"]
        assert seen["results"][0]["faces"][0]["name"] == "Eileen"
        key = first_key(told)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}
    with service(gallery) as (_, again):
        assert "shown this once" not in again
        with client(again, key) as http:
            assert http.get("/v1/people").json()["total"] == 1


def test_the_answers_are_those_of_the_library(tmp_path: Path, astronaut: Path) -> None:
    from vultus.pipeline import FaceRecognizer

    gallery = tmp_path / "people.db"
    with FaceRecognizer(gallery, runtime="onnx") as recognizer:
        recognizer.enrol("Eileen", astronaut)
        direct = recognizer.identify(astronaut)
    with service(gallery, "--runtime", "onnx") as (_, told), client(told, first_key(told)) as http:
        page = http.get("/metrics").text
        (seen,) = http.post("/v1/identify", files={"images": astronaut.read_bytes()}).json()["results"]
    assert 'vultus_engine{provider="CPUExecutionProvider",runtime="onnx"} 1.0' in page
    (face,) = seen["faces"]
    assert face["box"] == pytest.approx(direct.faces.boxes[0].tolist(), abs=1e-3)
    assert direct.matches[0].best is not None
    assert face["similarity"] == pytest.approx(direct.matches[0].best.similarity, abs=1e-5)
    assert face["min_similarity"] == direct.matches[0].min_similarity


def test_several_workers_share_one_gallery(tmp_path: Path, astronaut: Path) -> None:
    with service(tmp_path / "people.db", "--workers", 2) as (_, told):
        key = first_key(told)
        with ExitStack() as stack:
            clients = [stack.enter_context(client(told, key)) for _ in range(6)]  # a connection each
            photo = astronaut.read_bytes()
            made = clients[0].post("/v1/people", data={"name": "Eileen"}, files={"images": photo})
            assert made.status_code == 201, made.text
            for one in clients:
                seen = one.post("/v1/identify", files={"images": photo}).json()["results"][0]
                assert seen["faces"][0]["name"] == "Eileen"
            assert clients[1].delete(f"/v1/people/{made.json()['person']['id']}").status_code == 204
            assert [one.get("/v1/people").json()["total"] for one in clients] == [0] * 6
            page = clients[0].get("/metrics").text
    assert re.search(r'route="/v1/identify",status="200"} 6.0', page), "the sum of all workers"
    engine = choose_runtime()
    assert re.search(rf'vultus_engine{{provider="\w+",runtime="{engine.runtime}[-\w]*"}} 1.0', page)
    assert f"runtime {engine.runtime}: {engine.reason}" in " ".join(told.split())


def test_it_speaks_tls(tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("needs openssl to make a certificate")
    files = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with service(tmp_path / "people.db", *files) as (_, told):
        assert address(told).startswith("https://")
        with client(told, first_key(told), verify=trusted) as http:
            answer = http.get("/v1/people")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["strict-transport-security"]


def test_mistakes_are_told_before_anything_is_loaded(vultus: Command, tmp_path: Path) -> None:
    for options, code in (
        (("--insecure-no-auth", "--host", "0.0.0.0"), 2),
        (("--tls-cert", "cert.pem"), 2),
        (("--ui", "--workers", "2"), 2),
        (("--cors-origin", "*"), 2),
        (("--webhook", "https://x.example"), 2),
        (("--runtime", "abacus"), 2),
        (("--runtime", "openvino", "--provider", "CUDAExecutionProvider"), 2),
    ):
        outcome = vultus("serve", *options)
        assert outcome.code == code, outcome.err
        assert "listening" not in outcome.out
        assert "shown this once" not in outcome.out


def test_keys_are_made_listed_and_revoked(vultus: Command, tmp_path: Path) -> None:
    import json

    gallery = ("--gallery", tmp_path / "people.db")
    made = json.loads(vultus("keys", "create", "front door", "--scope", "decide", *gallery, "--json").out)
    assert made["key"].startswith(f"vultus_{made['id']}_")
    (listed,) = json.loads(vultus("keys", "list", *gallery, "--json").out)
    assert listed == {key: value for key, value in made.items() if key != "key"}
    assert "void" in vultus("keys", "revoke", made["id"], *gallery).out
    assert json.loads(vultus("keys", "list", *gallery, "--json").out)[0]["revoked"] is not None
    assert vultus("keys", "revoke", "nobody", *gallery).code == 5


@pytest.mark.slow
def test_a_killed_service_loses_no_acknowledged_enrolment(tmp_path: Path) -> None:
    kills = os.environ.get("VULTUS_KILLS", "3")
    done = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path), kills],
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * int(kills),
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) >= 2 * int(kills)


def test_the_service_loads_no_torch_and_no_page(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from vultus.pipeline import FaceRecognizer\n"
        "from vultus.server import Settings, create_app\n"
        "from vultus.server.listen import make_config\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "settings = Settings(store=folder / 'people.service.db')\n"
        "app = create_app(settings, FaceRecognizer(folder / 'people.db'))\n"
        "make_config(app, settings, port=0).load()\n"
        "app.state.service.closing.close()\n"
        "print([name for name in ('torch', 'gradio', 'scipy', 'ray') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.stdout.strip() == "[]", done.stderr
