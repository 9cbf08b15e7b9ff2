"""A measurement on WIDER FACE as a report: the figures, the curves as data, and pictures."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from vultus.evaluate.detection_ap import WiderMatches, WiderResult, ap_of_matches
from vultus.evaluate.detection_breakdown import Part, by_event, by_height
from vultus.evaluate.detection_interval import ap_interval
from vultus.evaluate.detection_plots import plot_curves, plot_parts
from vultus.evaluate.provenance import Provenance
from vultus.evaluate.report import Report
from vultus.evaluate.widerface import DIFFICULTIES
from vultus.types import Interval

PROTOCOL: Final = (
    "The official evaluation of WIDER FACE: IoU 0.5 with the +1 convention, scores normalised over the whole "
    "set, 1,000 thresholds; a prediction takes the face it overlaps most, repeats are false positives, and "
    "matches of faces that do not count at a difficulty drop out. Parts (height of the face, event) share "
    "the matches and scores of the whole, at the hard difficulty; predictions that match nothing count in "
    "the part they belong to. Recall is the share of faces found with every prediction counted. Intervals "
    "hold 95 % of 1,000 draws of as many images, with replacement."
)
SUBSET: Final = (
    " Only a subset of the images was judged: the figures do not compare with those of the full set."
)
CURVES, HEIGHTS, EVENTS = "curves.png", "heights.png", "events.png"


def widerface_report(matches: WiderMatches, *, setting: Mapping[str, str], command: str) -> Report:
    """The figures at the three difficulties and part by part.

    Args:
        matches: of the predictions, from `match_widerface`.
        setting: what was judged: detector, weights, test scale, options.
        command: what repeats the measurement.
    """
    result = ap_of_matches(matches)
    heights, events = by_height(matches), by_event(matches)
    intervals = {
        name: ap_interval(matches, difficulty=name) if curve.n_faces else None
        for name, curve in result.curves.items()
    }
    images = f"{result.n_images:,} of {result.n_images_of_set:,}" + (", a subset" if result.is_subset else "")
    figures = {"images": images}
    for name in DIFFICULTIES:
        curve = result.curves[name]
        recall = f"recall {_percent(curve.highest_recall)} of {curve.n_faces:,} faces"
        figures[name] = f"AP {_percent(getattr(result, name))}{_between(intervals[name])}, {recall}"
    figures |= {f"hard, {part.name}": _in_words(part) for part in heights}
    return Report(
        title="WIDER FACE validation" + (" (subset)" if result.is_subset else ""),
        protocol=PROTOCOL + (SUBSET if result.is_subset else ""),
        setting=setting,
        figures=figures,
        details=_details(result, heights=heights, events=events) | {"ap_interval": intervals},
        provenance=Provenance.now(command),
        pictures=(CURVES, HEIGHTS, EVENTS),
    )


def write_curves(matches: WiderMatches, folder: Path) -> list[Path]:
    """Write curves.csv and the pictures that the report shows into `folder`, which is made if need be.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = ap_of_matches(matches)
    images = f"{result.n_images:,} of {result.n_images_of_set:,} images"
    _write_csv(result, folder / "curves.csv")
    plot_curves(result, folder / CURVES, title=f"WIDER FACE validation, {images}")
    plot_parts(by_height(matches), folder / HEIGHTS, title=f"Hard faces by height, {images}")
    plot_parts(by_event(matches), folder / EVENTS, title=f"Hard faces by event, {images}")
    return [folder / name for name in ("curves.csv", CURVES, HEIGHTS, EVENTS)]


def _details(result: WiderResult, *, heights: Iterable[Part], events: Iterable[Part]) -> dict[str, Any]:
    return {
        "ap": {name: _number(getattr(result, name)) for name in DIFFICULTIES},
        "recall": {name: _number(result.curves[name].highest_recall) for name in DIFFICULTIES},
        "n_faces": {name: result.curves[name].n_faces for name in DIFFICULTIES},
        "n_images": result.n_images,
        "n_images_of_set": result.n_images_of_set,
        "is_subset": result.is_subset,
        "hard_by_height": [asdict(part) for part in heights],
        "hard_by_event": [asdict(part) for part in events],
    }


def _write_csv(result: WiderResult, path: Path) -> None:
    """A row per threshold: recall and precision at each difficulty."""
    thresholds = result.curves[DIFFICULTIES[0]].thresholds
    columns = {"threshold": thresholds}
    for name, curve in result.curves.items():
        columns |= {f"{name}_recall": curve.recall, f"{name}_precision": curve.precision}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{number:.6g}" for number in row] for row in zip(*columns.values(), strict=True))


def _in_words(part: Part) -> str:
    return f"AP {part.average_precision:.2%}, recall {part.recall:.2%} of {part.n_faces:,} faces"


def _between(interval: Interval | None) -> str:
    return f" ({interval.low:.2%} to {interval.high:.2%})" if interval else ""


def _percent(share: float) -> str:
    return "not defined" if math.isnan(share) else f"{share:.2%}"


def _number(share: float) -> float | None:
    return None if math.isnan(share) else share
