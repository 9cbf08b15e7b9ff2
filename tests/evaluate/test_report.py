"""A report repeats: figures, protocol, contract, command; and it survives JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import vultus
from vultus.evaluate import Provenance, Report


@pytest.fixture
def report() -> Report:
    return Report(
        title="Verification on pairs.txt",
        protocol="Folds as published.",
        setting={"detector": "mtcnn", "contract": "3f2a"},
        figures={"accuracy": "99.10% +- 0.20%"},
        details={"accuracy": 0.991, "folds": [{"threshold": 0.3, "accuracy": 0.99}]},
        provenance=Provenance.now("vultus evaluate pairs pairs.txt --images images"),
    )


def test_both_files_carry_what_repeats_the_measurement(report: Report, tmp_path: Path) -> None:
    json_path, markdown_path = report.write(tmp_path / "new" / "folder")
    read = json.loads(json_path.read_text(encoding="utf-8"))
    page = markdown_path.read_text(encoding="utf-8")
    assert read["details"]["folds"] == [{"threshold": 0.3, "accuracy": 0.99}]
    assert read["provenance"]["versions"]["vultus"] == vultus.__version__
    for text in (
        report.protocol,
        "99.10% +- 0.20%",
        "3f2a",
        report.provenance.command,
        report.provenance.date,
    ):
        assert text in page
        assert text in json_path.read_text(encoding="utf-8")


def test_the_date_is_utc_and_the_machine_is_named(report: Report) -> None:
    assert report.provenance.date.endswith("+00:00")
    assert "CPUs" in report.provenance.machine


def test_nan_is_never_written(report: Report) -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(report, details={"accuracy": float("nan")}).to_json()


def test_a_report_is_written_again_over_the_old_one(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)
    _, markdown_path = replace(report, title="Again").write(tmp_path)
    assert markdown_path.read_text(encoding="utf-8").startswith("# Again\n")
