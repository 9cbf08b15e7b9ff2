"""A local Ray gives what one process gives, and a missing Ray says how to get it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vultus.batch import on_ray
from vultus.errors import MissingExtraError

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed here, so it is not missing")
def test_a_missing_ray_names_what_to_install(indexer: ModuleType, album: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'vultus\[ray\]'"):
        list(on_ray(indexer.work_of(album), []))


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'vultus[ray]' (80 MB)")
def test_a_local_ray_gives_what_one_process_gives(
    run_indexer: Callable[..., dict[str, Any]],
    album: Path,
    tmp_path: Path,
    contents: Callable[..., list[Any]],
) -> None:
    run_indexer(album, tmp_path / "whole.db", "single")
    done = run_indexer(album, tmp_path / "ray.db", "ray", "--kills", 1, "--seed", 2)
    assert done["faces"] == 49
    assert contents(tmp_path / "ray.db") == contents(tmp_path / "whole.db")
