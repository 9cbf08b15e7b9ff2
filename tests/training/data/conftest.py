"""Real labelled faces."""

from pathlib import Path

import pytest

from vultus.training.data.shards import ShardFaces, read_shards


@pytest.fixture(scope="session")
def heldout(shared: Path) -> ShardFaces:
    """4,798 crops of 80 people."""
    return read_shards(shared / "data" / "faces", split="heldout")
