"""The report of a measurement: figures, curves, pictures, and the word that it is a subset."""

import csv
import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vultus.errors import MissingExtraError
from vultus.evaluate import WiderTruth
from vultus.evaluate.detection_ap import WiderMatches, match_widerface
from vultus.evaluate.widerface_report import widerface_report, write_curves
from vultus.types import Detections


def matches(*, only_first: bool, easy: bool = True) -> WiderMatches:
    """Two images with two faces each; of the first image's faces one is found, and something else."""
    boxes = np.array([[0, 0, 20, 20], [50, 0, 90, 40]] * 2, np.float64)
    truth = WiderTruth(
        images=("0--Parade/a.jpg", "1--Riot/b.jpg"),
        first_face=np.array([0, 2, 4]),
        boxes=boxes,
        counts={"easy": np.full(4, easy), "medium": np.ones(4, np.bool_), "hard": np.ones(4, np.bool_)},
    )
    found = Detections(
        np.array([[0, 0, 20, 20], [200, 0, 215, 15]], np.float32),
        np.array([0.9, 0.1], np.float32),
        np.zeros((2, 5, 2), np.float32),
    )
    predictions = {"0--Parade/a.jpg": found} | ({} if only_first else {"1--Riot/b.jpg": Detections.empty()})
    return match_widerface(predictions, truth, only_present=only_first)


def test_the_figures_are_those_of_the_details() -> None:
    report = widerface_report(matches(only_first=False), setting={"scale": "original"}, command="vultus ...")
    assert report.title == "WIDER FACE validation"
    assert report.figures["images"] == "2 of 2"
    assert report.figures["hard"] == "AP 25.00% (0.00% to 50.00%), recall 25.00% of 4 faces"
    assert report.figures["hard, 16 to 32 px"] == "AP 50.00%, recall 50.00% of 2 faces"
    details = json.loads(report.to_json())["details"]
    assert details["ap_interval"]["hard"] == [0.0, 0.5]
    assert details["ap"] == {"easy": 0.25, "medium": 0.25, "hard": 0.25}
    assert [part["recall"] for part in details["hard_by_event"]] == [0.5, 0.0]
    assert [part["name"] for part in details["hard_by_height"]] == ["16 to 32 px", "32 to 64 px"]
    assert not details["is_subset"]


def test_a_subset_is_called_one() -> None:
    report = widerface_report(matches(only_first=True), setting={}, command="vultus ...")
    assert report.title == "WIDER FACE validation (subset)"
    assert report.figures["images"] == "1 of 2, a subset"
    assert "do not compare with those of the full set" in report.protocol
    assert report.details["is_subset"]


def test_a_difficulty_without_faces_has_no_figure() -> None:
    report = widerface_report(matches(only_first=False, easy=False), setting={}, command="vultus ...")
    assert report.figures["easy"] == "AP not defined, recall not defined of 0 faces"
    assert json.loads(report.to_json())["details"]["ap"]["easy"] is None


@pytest.mark.parametrize("easy", [True, False])
def test_the_folder_holds_the_curves_and_the_pictures_of_the_page(easy: bool, tmp_path: Path) -> None:
    measured = matches(only_first=False, easy=easy)
    report = widerface_report(measured, setting={}, command="vultus ...")
    written = write_curves(measured, tmp_path / "report")
    _, page = report.write(tmp_path / "report")
    assert [path.name for path in written] == ["curves.csv", *report.pictures]
    for name in report.pictures:
        assert f"![{name}]({name})" in page.read_text(encoding="utf-8")
        picture = cv2.imread(str(tmp_path / "report" / name))
        assert picture is not None
        assert picture.std() > 10  # something is drawn
    with written[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1000
    assert [float(rows[0][name]) for name in ("threshold", "hard_recall", "hard_precision")] == [
        0.999,
        0.25,
        1.0,
    ]
    assert [float(rows[999][name]) for name in ("threshold", "hard_recall", "hard_precision")] == [
        0,
        0.25,
        0.5,
    ]
    assert math.isnan(float(rows[0]["easy_recall"])) is not easy


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)  # how Python itself marks what cannot be imported
    with pytest.raises(MissingExtraError, match=r"pip install 'vultus\[evaluate\]'"):
        write_curves(matches(only_first=False), tmp_path)
