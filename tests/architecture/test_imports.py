"""Doors open inwards, and the heavy libraries stay outside until they are needed."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "pyproject.toml"

# Runs a command line in its own process, then tells on stderr which of the named modules it has loaded.
TRACED = """
import atexit, json, sys
names = json.loads(sys.argv.pop(1))
atexit.register(lambda: print(json.dumps([name for name in names if name in sys.modules]), file=sys.stderr))
"""
EXTRAS = [
    "torch",
    "torchvision",
    "gradio",
    "fastapi",
    "ray",
    "openvino",
    "psycopg",
    "pymilvus",
    "cryptography",
    "uvicorn",
    "httpx",
    "scipy",
    "skimage",
    "onnx",
]
HEAVY = [*EXTRAS, "numpy", "cv2", "onnxruntime", "PIL", "pooch"]


def loaded(code: str, *arguments: str, of: list[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TRACED + code, json.dumps(of), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


def lint_imports(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", config],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=config.parent,
        env={"PATH": "", "PYTHONUTF8": "1", **environment},
    )


def test_the_import_contracts_hold() -> None:
    done = lint_imports(CONTRACTS)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("room", "line", "broken"),
    [
        ("detect", "import torch", "Only networks, training and export know torch"),
        ("evaluate", "import torch", "Only networks, training and export know torch"),
        ("detect", "import vultus.pipeline", "Doors open inwards"),
        ("evaluate", "import vultus.networks.mtcnn", "Doors open inwards"),
        ("detect", "import onnxruntime", "Only runtime knows which library runs a network"),
        ("networks", "import torchvision", "What others' packages carry is read"),
    ],
)
def test_a_broken_contract_is_caught(room: str, line: str, broken: str, tmp_path: Path) -> None:
    """The same contracts over a copy in which one line is wrong: a rule that never fires is no rule."""
    for path in sorted((ROOT / "src" / "vultus").rglob("*.py")):
        copy = tmp_path / path.relative_to(ROOT / "src")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes(CONTRACTS.read_bytes())
    (tmp_path / "vultus" / room / "wrong.py").write_text(f"{line}\n", encoding="utf-8")
    done = lint_imports(tmp_path / "pyproject.toml", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert broken in done.stdout
    assert f"vultus.{room}.wrong" in done.stdout


def test_import_vultus_loads_no_extra() -> None:
    assert loaded("import vultus", of=EXTRAS) == []


@pytest.mark.parametrize("arguments", [["--help"], ["detect", "--help"], ["evaluate", "pairs", "--help"]])
def test_help_is_quick_because_nothing_heavy_is_loaded(arguments: list[str]) -> None:
    assert loaded("from vultus.cli import main; main()", *arguments, of=HEAVY) == []


def test_detecting_faces_loads_no_extra() -> None:
    photo = files("skimage") / "data" / "astronaut.png"
    assert loaded("from vultus.cli import main; main()", "detect", str(photo), "--json", of=EXTRAS) == []


def test_a_loaded_module_would_be_noticed() -> None:
    assert loaded("import PIL", of=HEAVY) == ["PIL"]
