"""What many tests share: where the real photos, faces and weights lie."""

import os
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
