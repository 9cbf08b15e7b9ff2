"""Error rates by group as a report, with a picture that shows the intervals side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from vultus.evaluate.figures import COLOURS, Pictures, new_figure
from vultus.evaluate.report import Report, Subject
from vultus.evaluate.slices import GroupRates
from vultus.types import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROTOCOL: Final = (
    "All pairs of the folder's images, each once, by group: {rule}. One threshold for all groups, "
    "{threshold:.4f} ({origin}). Images without a usable face form no pair. Intervals of FMR draw people "
    "(where there is no false match, or fewer than three people, Wilson's over pairs, too narrow); of FNMR "
    "Wilson's over pairs; all 95 %. A group with a warning is too small for its rates to be compared."
)


def slices_report(
    groups: Sequence[GroupRates], *, rule: str, threshold: float, origin: str, subject: Subject
) -> Report:
    """The rates of each group.

    Args:
        groups: in the order in which they are shown.
        rule: which pairs a group holds, in words.
        threshold: common to all.
        origin: where it comes from.
        subject: which folder, and what was judged.
    """
    figures = {"threshold": f"{threshold:.4f}, {origin}"}
    for one in groups:
        figures[one.name] = (
            f"FMR {_rate(one.fmr, one.fmr_interval)} of {one.n_impostors:,}; "
            f"FNMR {_rate(one.fnmr, one.fnmr_interval)} of {one.n_genuine:,}; {one.n_people:,} people"
        )
        if one.warnings:
            figures[f"{one.name}: warning"] = "small group: " + "; ".join(one.warnings)
    return Report.on(
        subject,
        protocol=PROTOCOL.format(rule=rule, threshold=threshold, origin=origin),
        figures=figures,
        details={"threshold": threshold, "groups": [asdict(one) for one in groups]},
    )


def slices_pictures(groups: Sequence[GroupRates], *, title: str) -> Pictures:
    """groups.png."""
    return {"groups.png": partial(groups_figure, groups, title=title)}


def groups_figure(groups: Sequence[GroupRates], *, title: str) -> "Figure":
    """FMR and FNMR of each group with their intervals; hollow marks are groups with a warning.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title, width=8.0, height=1.6 + 0.32 * len(groups))
    axes = figure.subplots(1, 2, sharey=True)
    rates = [("false match rate", [(one.fmr, one.fmr_interval) for one in groups])]
    rates += [("false non-match rate", [(one.fnmr, one.fnmr_interval) for one in groups])]
    for plot, colour, (name, points) in zip(axes, (COLOURS[1], COLOURS[0]), rates, strict=True):
        for row, ((rate, interval), one) in enumerate(zip(points, groups, strict=True)):
            if rate is None or interval is None:
                continue
            plot.plot([100 * end for end in interval], [row, row], color=colour, linewidth=1.5)
            face = "white" if one.warnings else colour
            plot.plot([100 * rate], [row], "o", color=colour, markerfacecolor=face)
        plot.set_xlabel(f"{name}, %")
        plot.set_xlim(left=0)
        plot.grid(alpha=0.3)
    axes[0].set_yticks(np.arange(len(groups)), [one.name for one in groups])
    axes[0].set_ylim(len(groups) - 0.5, -0.5)
    return figure


def _rate(rate: float | None, interval: Interval | None) -> str:
    if rate is None or interval is None:
        return "not measured (no pair)"
    return f"{rate:.3%} ({interval.low:.3%} to {interval.high:.3%})"
