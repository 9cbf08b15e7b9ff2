"""`vultus ui` refuses what would leave the page open, before anything is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "faces.example"])
def test_a_page_without_a_key_stays_on_this_computer(vultus: Command, host: str) -> None:
    outcome = vultus("ui", "--insecure-no-auth", "--host", host)
    assert outcome.code == 2
    assert f"not on {host}" in outcome.err


def test_a_short_key_is_refused(vultus: Command) -> None:
    outcome = vultus("ui", "--key", "short")
    assert outcome.code == 2
    assert "at least 16 characters, got 5" in outcome.err


def test_a_folder_without_reports_is_refused(vultus: Command, tmp_path: Path) -> None:
    outcome = vultus("ui", "--reports", tmp_path, "--gallery", tmp_path / "people.db", "--port", 0)
    assert outcome.code == 2
    assert "holds no report.json" in outcome.err
