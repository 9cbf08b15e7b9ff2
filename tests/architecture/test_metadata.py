"""What `pip install vultus` brings, and what it must never bring."""

import re
import tomllib
from pathlib import Path

import pytest

import vultus

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = dict(
    line.split("==")
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


def test_every_promised_extra_exists() -> None:
    assert {"train", "serve", "ui", "openvino", "postgres", "batch", "dev"} <= set(
        PROJECT["optional-dependencies"]
    )


def test_the_core_never_needs_torch() -> None:
    heavy = {"torch", "torchvision", "tensorflow", "gradio", "ray", "scipy", "facenet-pytorch", "insightface"}
    assert {"numpy", "onnxruntime", "opencv-python-headless"} <= names(PROJECT["dependencies"])
    assert not names(PROJECT["dependencies"]) & heavy


def test_nothing_needs_torchvision() -> None:
    """Its builds are bound to one torch each: depending on it would pin torch for every user."""
    everything = [
        *PROJECT["dependencies"],
        *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
    ]
    assert "torchvision" not in names(everything)
    assert "torchvision" not in LOCK


def test_torch_has_a_range_for_users_and_a_pin_for_development() -> None:
    (torch,) = [one for one in PROJECT["optional-dependencies"]["train"] if one.startswith("torch>")]
    assert "==" not in torch
    assert LOCK["torch"] == "2.13.0"


def test_the_lock_pins_every_direct_dependency_of_development() -> None:
    wanted = names([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]) - {"vultus"}
    assert wanted
    assert not wanted - {name.lower() for name in LOCK} - {name.lower().replace("_", "-") for name in LOCK}


def test_the_licence_is_stated_and_comes_along() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"]
    for name in PROJECT["license-files"]:
        assert (ROOT / name).stat().st_size > 0


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "src" / "vultus" / "py.typed").is_file()


@pytest.mark.parametrize("name", ["CHANGELOG.md", "README.md"])
def test_the_version_is_known(name: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", vultus.__version__)
    assert (ROOT / name).is_file()
