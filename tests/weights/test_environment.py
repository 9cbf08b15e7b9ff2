"""The three environment variables that decide about weights."""

from pathlib import Path

import pytest

from vultus.weights.environment import data_folder, is_offline, mirrored, weights_folder


def test_the_folder_lies_in_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VULTUS_HOME", raising=False)
    folder = weights_folder()
    assert folder.is_absolute()
    assert folder.name == "weights"
    assert "vultus" in folder.parts


def test_vultus_home_moves_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "weights"
    monkeypatch.setenv("VULTUS_HOME", "~/faces")
    assert weights_folder() == Path.home() / "faces" / "weights"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VULTUS_HOME", "faces")
    assert weights_folder() == tmp_path / "faces" / "weights"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("yes", True), ("", False), ("0", False), ("No", False), ("false", False)],
)
def test_offline_is_said_in_several_ways(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("VULTUS_OFFLINE", value)
    assert is_offline() is expected


def test_the_network_is_allowed_unless_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VULTUS_OFFLINE", raising=False)
    assert is_offline() is False


def test_a_mirror_is_asked_for_the_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VULTUS_MIRROR", "https://models.example.org/faces/")
    address = mirrored("https://publisher.example.org/v1/net.onnx?raw=1", file_name="net.onnx")
    assert address == "https://models.example.org/faces/net.onnx"
    monkeypatch.delenv("VULTUS_MIRROR")
    assert mirrored("https://publisher.example.org/net.onnx", file_name="net.onnx").startswith(
        "https://publisher"
    )


def test_what_the_user_makes_follows_the_same_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VULTUS_HOME", "~/faces")
    assert data_folder() == Path.home() / "faces"
    monkeypatch.delenv("VULTUS_HOME")
    assert data_folder().is_absolute()
    assert data_folder() != weights_folder().parent  # what can be fetched again lies in the cache
