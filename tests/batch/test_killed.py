"""Killed by SIGKILL at random moments and around every kind of write, the gallery is the same in the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]
Contents = Callable[..., list[Any]]


@pytest.mark.parametrize("people", ["none", "folder"])
def test_a_run_that_is_killed_again_and_again_loses_and_doubles_nothing(
    run_indexer: Run, album: Path, people: str, tmp_path: Path, contents: Contents
) -> None:
    whole = run_indexer(album, tmp_path / "whole.db", "single", "--people", people)
    expected = contents(tmp_path / "whole.db", ids=people == "none")
    assert len(expected) > 3
    for seed in range(2):
        killed = tmp_path / f"killed-{seed}.db"
        last = run_indexer(album, killed, "single", "--people", people, "--kills", 8, "--seed", seed)
        assert contents(killed, ids=people == "none") == expected
        assert (last["indexed"], last["faces"], last["quarantined"]) == tuple(
            whole[name] for name in ("indexed", "faces", "quarantined")
        )


@pytest.mark.slow
def test_a_pool_that_is_killed_gives_what_one_process_gives(
    run_indexer: Run, album: Path, tmp_path: Path, contents: Contents
) -> None:
    run_indexer(album, tmp_path / "whole.db", "single")
    last = run_indexer(album, tmp_path / "pool.db", "pool", "--kills", 5, "--seed", 3)
    assert last["done"] < 40  # the attempts that were killed did some of them
    assert contents(tmp_path / "pool.db") == contents(tmp_path / "whole.db")


def test_part_files_of_a_killed_run_hold_each_face_once(
    run_indexer: Run, album: Path, tmp_path: Path, table: Callable[[Path], list[dict[str, Any]]]
) -> None:
    run_indexer(album, tmp_path / "whole.parquet", "single")
    expected = table(tmp_path / "whole.parquet")
    assert len(expected) == 49
    run_indexer(album, tmp_path / "killed.parquet", "single", "--kills", 8, "--seed", 1)
    assert table(tmp_path / "killed.parquet") == expected
