"""A measurement is kept even where nothing can be drawn."""

import json
from pathlib import Path
from typing import NoReturn

import pytest

from vultus.cli.reporting import present
from vultus.errors import MissingExtraError
from vultus.evaluate import Report, Subject


def undrawable() -> NoReturn:
    raise MissingExtraError("drawing curves needs matplotlib: pip install 'vultus[evaluate]'")


def test_without_matplotlib_the_report_is_written_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report.on(Subject("Test", {}, "vultus"), protocol="None.", figures={"a": "1"}, details={})
    present(report, tmp_path, as_json=True, pictures={"roc.png": undrawable})
    printed = capsys.readouterr()
    assert "no pictures: drawing curves needs matplotlib" in printed.err
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == json.loads(printed.out)
    assert json.loads(printed.out)["pictures"] == []
