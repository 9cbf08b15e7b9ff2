"""What many tests share: where the real photos, faces and weights lie."""

import os
from pathlib import Path

import pytest

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
