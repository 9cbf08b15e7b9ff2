"""The Report tab: this gallery measured, thresholds explained, reports shown."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.evaluate import Provenance, Report
from vultus.image import save_image
from vultus.types import Calibration, Interval, Template, ThresholdRates
from vultus.ui.desk import Desk
from vultus.ui.report import meaning, measure_gallery, show_report, strangers, titles


def nothing(*_: Any) -> None:
    pass


def unit(*values: float) -> Template:
    row = np.zeros(128, np.float32)
    row[: len(values)] = values
    return Template(row / np.linalg.norm(row))


@pytest.fixture
def people(desk: Desk) -> Desk:
    """Four people; Ada has two photos, and Bob looks like her."""
    gallery = desk.recognizer.gallery
    gallery.enrol("Ada", [unit(1), unit(1, 0.1)])
    gallery.enrol("Bob", [unit(1, 0.2)])
    gallery.enrol("Cleo", [unit(0, 0, 1)])
    gallery.enrol("Dan", [unit(0, 0, 0, 1)])
    return desk


def test_a_gallery_is_measured_against_itself(people: Desk) -> None:
    told, figures, plot = measure_gallery(people, on_progress=nothing)
    assert "4 people, 5 photos" in told
    values = re.findall(r"<dd>([^<]+)</dd>", figures)
    assert values[:3] == ["1", "9", "22.222%"]  # 2 of 9 pairs of two people: both photos of Ada with Bob's
    assert values[-1] == "0.00%"
    assert plot["visible"] is True
    assert plot["value"].ndim == 3


def test_too_few_people_are_said_to_be_too_few(desk: Desk) -> None:
    for name in ("Ada", "Bob", "Cleo"):
        told, figures, plot = measure_gallery(desk, on_progress=nothing)
        assert "Not enough to measure" in told
        assert (figures, plot["visible"]) == ("", False)
        desk.recognizer.gallery.enrol(name, [unit(len(name))])
    assert "Not enough" in measure_gallery(desk, on_progress=nothing)[0]  # nobody has two photos


@pytest.mark.parametrize(("people", "share"), [(1000, "63.23%"), (1, "0.10%"), (None, "0.00%")])
def test_strangers_are_computed_for_a_gallery_size(desk: Desk, people: int | None, share: str) -> None:
    (told,) = strangers(desk, 1e-3, people, on_progress=nothing)
    assert share in told


def test_thresholds_are_explained_by_the_gallerys_calibration(desk: Desk) -> None:
    rates = tuple(
        ThresholdRates(threshold, fmr, Interval(0, 1), fnmr, 10, 1000, 100)
        for threshold, fmr, fnmr in [(0.2, 0.08, 0.01), (0.3, 0.02, 0.02), (0.4, 0.005, 0.04)]
    )
    calibration = Calibration(
        desk.recognizer.embedder.contract, rates, fmr=1e-2, fpir=1e-2, about={"data": "<passers-by>"}
    )
    desk.recognizer.gallery.set_calibration(calibration)
    html = meaning(desk)
    rows = re.findall(r"<tr><td>([\d.]+)</td><td>([^<]+)</td><td>([^<]+)</td></tr>", html)
    assert rows == [("0.200", "1 in 12", "1.0%"), ("0.400", "1 in 200", "4.0%")]
    assert "Measured on: &lt;passers-by&gt;." in html


@pytest.fixture
def report(tmp_path: Path) -> Path:
    made = Report(
        title="Pairs <of> people",
        protocol="Ten folds.",
        setting={"embedder": "sface"},
        figures={"accuracy": "99.5 %"},
        details={},
        provenance=Provenance.now("vultus evaluate pairs"),
        pictures=("roc.png",),
    )
    folder = tmp_path / "lfw"
    made.write(folder)
    save_image(np.zeros((40, 60, 3), np.uint8), folder / "roc.png")
    return folder


def test_a_report_is_shown_with_figures_and_plots(desk: Desk, report: Path) -> None:
    with_report = replace(desk, reports=(report,))
    assert titles(with_report) == [("lfw", 0)]
    told, shown, plots = show_report(with_report, 0, on_progress=nothing)
    assert told == ""
    for words in ("Pairs &lt;of&gt; people", "Ten folds.", "99.5 %", "sface", "vultus evaluate pairs"):
        assert words in shown
    assert [(picture.shape, name) for picture, name in plots] == [((40, 60, 3), "roc")]
    assert show_report(with_report, None, on_progress=nothing) == ("", "", [])
