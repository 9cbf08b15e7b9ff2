"""Small photos that cost nothing, parts that find faces in them, and what a gallery holds in the end."""

import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.gallery import SqliteGallery

pytest.importorskip("fsspec", reason="photos are read through fsspec: pip install 'vultus[batch]'")
SCRIPT = Path(__file__).with_name("killed_indexer.py")


def png(seed: int, faces: int) -> bytes:
    """A photo of noise in which the fake detector finds so many faces."""
    pixels = np.random.default_rng(seed).integers(0, 251, (24, 24, 3), np.uint8)
    pixels[0, 0, 0] = 4 * (seed % 60) + faces
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def photo() -> Callable[[int, int], bytes]:
    """`photo(seed, faces)`: the bytes of a photo."""
    return png


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """40 photos in three people's folders and a tar file; one is there twice, one is cut, one is a text."""
    folder = tmp_path / "album"
    for number in range(32):
        path = folder / ("anna", "berta", "carl")[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number, faces=(1, 1, 2, 0, 3)[number % 5]))
    (folder / "berta" / "copy.png").write_bytes((folder / "anna" / "00.png").read_bytes())
    (folder / "berta" / "cut.png").write_bytes(png(99, faces=1)[:300])
    (folder / "carl" / "text.jpg").write_text("no photo")
    (folder / "carl" / "notes.txt").write_text("not looked at")
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for number in range(40, 45):
            data = png(number, faces=1)
            member = tarfile.TarInfo(f"dora/{number}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return folder


@pytest.fixture(scope="session")
def indexer() -> ModuleType:
    """The script `killed_indexer.py` as a module: its parts, for work in this process."""
    spec = importlib.util.spec_from_file_location("killed_indexer", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["killed_indexer"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run_indexer() -> Callable[..., dict[str, Any]]:
    """`run_indexer(source, sink, "pool", "--kills", 3)`: the script in a process of its own."""

    def run(*arguments: object) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, SCRIPT, *(str(argument) for argument in arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    return run


@pytest.fixture(scope="session")
def contents() -> Callable[..., list[Any]]:
    """`contents(path)`: everybody in a gallery with everything but times, and but ids on demand."""

    def read(path: Path, *, ids: bool = True) -> list[Any]:
        with SqliteGallery(path) as gallery:
            assert gallery.check().is_clean
            return sorted(
                (
                    record.person.id if ids else "",
                    record.person.name,
                    record.person.metadata,
                    [(row.vector, row.quality, row.source, crop) for row, crop in record.faces],
                )
                for record in gallery.records()
            )

    return read


@pytest.fixture(scope="session")
def table() -> Callable[[Path], list[dict[str, Any]]]:
    """`table(folder)`: the rows of a folder of Parquet files, in order."""
    dataset = pytest.importorskip("pyarrow.dataset", reason="needs pyarrow: pip install 'vultus[batch]'")

    def read(folder: Path) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = dataset.dataset(folder, format="parquet").to_table().to_pylist()
        return sorted(rows, key=lambda row: (row["photo"], row["face"]))

    return read
