"""Pictures of a measurement on WIDER FACE: the curves, and how well each part of the set was found."""

from collections.abc import Sequence
from pathlib import Path

from vultus.evaluate.detection_ap import WiderResult
from vultus.evaluate.detection_breakdown import Part
from vultus.evaluate.figures import DPI, new_figure


def plot_curves(result: WiderResult, path: Path, *, title: str) -> None:
    """Precision against recall at the three difficulties, as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title, width=6.4, height=4.8)
    axes = figure.add_subplot(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(0, 1.005))
    for name, curve in result.curves.items():
        if curve.n_faces:
            label = f"{name}: AP {curve.average_precision:.3f} ({curve.n_faces:,} faces)"
            axes.plot(curve.recall, curve.precision, label=label)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path, format="png", dpi=DPI)


def plot_parts(parts: Sequence[Part], path: Path, *, title: str) -> None:
    """Average precision and recall of each part as bars, first part on top, as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title, width=7.5, height=1.5 + 0.3 * len(parts))
    axes = figure.add_subplot(xlim=(0, 1.005))
    rows = range(len(parts))
    axes.barh(rows, [part.recall for part in parts], height=0.8, color="#9ecae1", label="recall")
    axes.barh(rows, [part.average_precision for part in parts], height=0.4, color="#08519c", label="AP")
    axes.set_yticks(rows, [f"{part.name} ({part.n_faces:,})" for part in parts])
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, format="png", dpi=DPI)
