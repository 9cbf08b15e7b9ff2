"""The OpenAPI document, and a short run of requests made from it. `openapi_run.py` makes the long one."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).with_name("openapi_run.py")
Server = Any
Serve = Callable[..., Any]


@pytest.mark.slow
def test_requests_made_from_the_document_find_no_fault(serve: Serve) -> None:
    server = serve()
    done = subprocess.run(
        [
            sys.executable, str(RUN), "--url", server.url, "--key", server.keys["admin"],
            "--phases", "fuzzing", "--cases-per-route", "10",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    found = re.search(r"^(\d+) cases", done.stdout, re.MULTILINE)
    assert found
    assert int(found[1]) > 100


def document(server: Server) -> dict[str, Any]:
    with server.client(None) as client:
        told: dict[str, Any] = client.get("/openapi.json").json()
    return told


def test_every_operation_tells_its_key_its_refusals_and_an_example(server: Server) -> None:
    operations = [
        (f"{method} {path}", operation)
        for path, methods in document(server)["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 15
    for name, operation in operations:
        if "healthz" in name or "readyz" in name:
            continue
        assert operation["security"] == [{"bearer": []}, {"header": []}], name
        assert operation["x-scope"] in {"read", "enrol", "decide", "admin"}, name
        assert {"401", "403", "429"} <= set(operation["responses"]), name
        body = operation.get("requestBody", {}).get("content", {})
        if "application/json" in body:
            assert body["application/json"]["examples"], name
            assert "multipart/form-data" in body, name


def test_examples_are_what_the_schema_says(server: Server) -> None:
    from jsonschema_rs import validator_for

    bodies = [
        operation["requestBody"]["content"]["application/json"]
        for methods in document(server)["paths"].values()
        for operation in methods.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    assert len(bodies) >= 8
    for body in bodies:
        validator_for(body["schema"]).validate(body["examples"]["example"]["value"])


def test_no_reference_leads_nowhere(server: Server) -> None:
    told = document(server)
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(told)))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in told["components"]["schemas"]


def test_what_a_path_allows_is_told(server: Server) -> None:
    with server.client() as client:
        answer = client.put(f"/v1/people/{'0' * 32}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, PATCH"
