"""One page of several reports: side by side where they are the same, and safe whatever they hold."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate import Report, Subject, read_report, write_page
from vultus.evaluate.page import comparisons, overview, read_entries


def report(folder: Path, *, embedder: str, accuracy: str, title: str = "LFW, view 2") -> Path:
    subject = Subject(
        title, {"detector": "mtcnn", "embedder": embedder, "contract": "3f2a"}, "vultus evaluate lfw"
    )
    made = Report.on(
        subject,
        protocol="Folds as published.",
        figures={"pairs": "10 genuine", "accuracy": accuracy},
        details={"accuracy": 0.99},
    )
    folder.mkdir()
    (folder / "roc.png").write_bytes(b"\x89PNG of " + embedder.encode())
    replace(made, pictures=("roc.png",)).write(folder)
    return folder


def test_reports_of_one_measurement_stand_side_by_side(tmp_path: Path) -> None:
    first = report(tmp_path / "a", embedder="sface", accuracy="99.50% +- 0.10%")
    second = report(tmp_path / "b", embedder="ours", accuracy="99.10% +- 0.20%")
    other = report(tmp_path / "c", embedder="ours", accuracy="98.00%", title="CFP")
    entries = read_entries([first, second, other])
    assert comparisons(entries) == {
        "LFW, view 2": [
            ["", "sface", "ours"],
            ["pairs", "10 genuine", "10 genuine"],
            ["accuracy", "99.50% +- 0.10%", "99.10% +- 0.20%"],
        ]
    }
    rows = overview(entries)
    assert [row[0] for row in rows[1:]] == ["LFW, view 2", "LFW, view 2", "CFP"]
    assert rows[1][1:4] == ["sface", "3f2a", "accuracy: 99.50% +- 0.10%"]
    told = entries[0].report.provenance.commit or ""
    assert rows[1][5].endswith("+") == told.endswith("+")  # that the code differs from its commit is said


def test_the_page_carries_protocol_contract_command_and_pictures(tmp_path: Path) -> None:
    folders = [
        report(tmp_path / "a", embedder="sface", accuracy="99.5%"),
        report(tmp_path / "b", embedder="ours", accuracy="99.1%"),
    ]
    markdown, page = (path.read_text("utf-8") for path in write_page(folders, tmp_path / "page", title="All"))
    for text in ("Folds as published.", "3f2a", "vultus evaluate lfw", "99.1%", "side by side"):
        assert text in markdown
        assert text in page
    shown = re.findall(r"!\[roc\]\(([^)]+)\)", markdown)
    assert len(shown) == 2
    assert [(tmp_path / "page" / path).read_bytes()[8:] for path in shown] == [b"sface", b"ours"]
    assert page.count("data:image/png;base64,") == 2


def test_what_a_report_holds_is_text_and_never_markup(tmp_path: Path) -> None:
    folder = report(tmp_path / "a", embedder="<script>alert(1)</script>", accuracy="a|b", title="<b>LFW</b>")
    markdown, page = (path.read_text("utf-8") for path in write_page([folder], tmp_path / "page"))
    assert "<script>" not in page
    assert "<b>LFW" not in page
    assert "a\\|b" in markdown


def test_a_report_survives_being_read(tmp_path: Path) -> None:
    folder = report(tmp_path / "a", embedder="sface", accuracy="99.5%")
    read = read_report(folder)
    assert read.pictures == ("roc.png",)
    assert read.provenance.command == "vultus evaluate lfw"
    read.write(tmp_path / "again")
    assert (tmp_path / "again" / "report.json").read_bytes() == (folder / "report.json").read_bytes()


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one folder"):
        write_page([], tmp_path / "page")
    with pytest.raises(InputError, match="holds no report"):
        write_page([tmp_path], tmp_path / "page")
    for text in ("no json", "[]", '{"title": "x"}', '{"provenance": {"a": 1}}'):
        (tmp_path / "report.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="is no report"):
            read_report(tmp_path)


def test_a_picture_that_is_gone_is_named_and_none_is_taken_from_elsewhere(tmp_path: Path) -> None:
    folder = report(tmp_path / "a", embedder="sface", accuracy="99.5%")
    (tmp_path / "secret.png").write_bytes(b"secret")
    replace(read_report(folder), pictures=("../secret.png",)).write(folder)
    with pytest.raises(InputError, match=r"shows secret\.png, which is not there"):
        write_page([folder], tmp_path / "page")
