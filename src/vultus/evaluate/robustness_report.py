"""Robustness as a report: a line for each way and strength, bars, and what the probes looked like."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from vultus.evaluate.degradations import DEGRADATIONS, Landmarks
from vultus.evaluate.figures import COLOURS, Pictures, new_figure
from vultus.evaluate.report import Report, Subject
from vultus.evaluate.robustness import CLEAN, Slice
from vultus.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROTOCOL: Final = (
    "The second image of each pair is made worse, then detected, aligned and embedded anew; the first stays "
    "as it is. Amounts are in pixels of the 112 px crop, or as named. Accuracy: over the folds, thresholds "
    "chosen on the changed pairs of the other folds. TAR and FAR: at the threshold that has FAR {far:g} on "
    "the pairs as they are; 95 % Wilson intervals. No pair is dropped: a probe without a usable face is a "
    "non-match."
)


def robustness_report(slices: Sequence[Slice], *, far: float, subject: Subject) -> Report:
    """A line for each slice, the unchanged pairs first."""
    return Report.on(
        subject,
        protocol=PROTOCOL.format(far=far),
        figures={slice_name(one): _in_words(one) for one in slices},
        details={"far": far, "slices": [asdict(one) for one in slices]},
    )


def robustness_pictures(slices: Sequence[Slice], *, example: tuple[Image, Landmarks], title: str) -> Pictures:
    """robustness.png, and examples.png: one probe in every state.

    Args:
        slices: as for the report.
        example: an image and the (5, 2) landmarks of its face.
        title: above the pictures.
    """
    return {
        "robustness.png": partial(slices_figure, slices, title=title),
        "examples.png": partial(examples_figure, slices, example=example, title="One probe in every state"),
    }


def slice_name(one: Slice) -> str:
    """The degradation and its strength, for people."""
    if one.name == CLEAN:
        return CLEAN
    return f"{one.name}, {DEGRADATIONS[one.name].unit.format(one.strength)}"


def slices_figure(slices: Sequence[Slice], *, title: str) -> "Figure":
    """TAR of each slice as a bar with its interval; the line is that of the pairs as they are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title, width=7.2, height=1.2 + 0.26 * len(slices))
    axes = figure.add_subplot(xlabel="true accept rate at the common threshold", xlim=(0, 1.005))
    rows = np.arange(len(slices))
    tars = np.array([one.tar for one in slices])
    ends = np.array([one.tar_interval for one in slices])  # (S, 2)
    kinds = list(dict.fromkeys(one.name for one in slices if one.name != CLEAN))
    colours = [
        "0.75" if one.name == CLEAN else COLOURS[kinds.index(one.name) % len(COLOURS)] for one in slices
    ]
    axes.barh(rows, tars, color=colours, alpha=0.75)
    spread = np.maximum(np.abs(ends.T - tars), 0)
    axes.errorbar(tars, rows, xerr=spread, fmt="none", ecolor="0.2", elinewidth=1, capsize=2)
    axes.axvline(slices[0].tar, color="0.3", linestyle=":", linewidth=1)
    axes.set_yticks(rows, [slice_name(one) for one in slices], fontsize="small")
    axes.set_ylim(len(slices) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    axes.grid(axis="x", alpha=0.3)
    return figure


def examples_figure(slices: Sequence[Slice], *, example: tuple[Image, Landmarks], title: str) -> "Figure":
    """One image in the state of each slice.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    image, landmarks = example
    columns = min(6, len(slices))
    rows = -(-len(slices) // columns)
    figure = new_figure(title, width=1.6 * columns, height=0.4 + 1.9 * rows)
    for number, one in enumerate(slices, start=1):
        axes = figure.add_subplot(rows, columns, number)
        shown = image if one.name == CLEAN else DEGRADATIONS[one.name].apply(image, landmarks, one.strength)
        axes.imshow(shown)
        axes.set_title(slice_name(one).replace(", ", "\n"), fontsize=7)
        axes.set_axis_off()
    return figure


def _in_words(one: Slice) -> str:
    accuracy = "" if one.accuracy is None else f"accuracy {one.accuracy:.2%} +- {one.standard_error:.2%}; "
    low, high = one.tar_interval
    lost = f"; {one.n_lost:,} of {one.n_probes:,} probes without a face" if one.n_lost else ""
    return f"{accuracy}TAR {one.tar:.2%} ({low:.2%} to {high:.2%}), FAR {one.far:.2%}{lost}"
