"""A run as a picture: losses, learning rate and the figures of the validations, over the steps."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vultus.image import replace_file
from vultus.training.run import Run
from vultus.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 200  # means that a curve is drawn as: single batches differ more than epochs do
Columns = dict[str, FloatArray]


def draw_curves(run: Run) -> None:
    """Write curves.png, from log.csv and validation.csv as far as they are there."""
    from matplotlib.figure import Figure

    log, validations = read_columns(run.log), read_columns(run.validations)
    rate = {name: log[name] for name in ("step", "lr") if log}
    losses = {name: values for name, values in log.items() if name not in ("lr", "samples_per_second")}
    panels = {"losses": losses, "validation": validations, "learning rate": rate}
    panels = {title: columns for title, columns in panels.items() if columns}
    if not panels:
        return
    figure = Figure(figsize=(4.5 * len(panels), 4), layout="constrained")
    for number, (title, columns) in enumerate(panels.items(), 1):
        draw(figure.add_subplot(1, len(panels), number, title=title, xlabel="step"), columns)
    with replace_file(run.curves) as stream:
        figure.savefig(stream, format="png", dpi=100)


def draw(axes: "Axes", columns: Columns) -> None:
    """All columns over the step: few as points and lines, many as lines."""
    steps = coarse(columns["step"])
    curves = {
        name: coarse(values)
        for name, values in columns.items()
        if name not in ("epoch", "step") and values.any()  # a loss that a recipe can do without is 0
    }
    for name, values in curves.items():
        axes.plot(steps, values, label=name, marker="." if len(steps) < 20 else "")
    if axes.get_title() == "losses" and all(values.min() > 0 for values in curves.values()):
        axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend()


def read_columns(file: Path) -> Columns:
    """The columns of a CSV file by their names; none if there is no file."""
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {name: np.array([float(row[name]) for row in rows], np.float32) for name in rows[0]}


def coarse(values: FloatArray) -> FloatArray:
    """(N,) values as the means of at most `POINTS` runs of them."""
    return np.array([run.mean() for run in np.array_split(values, min(len(values), POINTS))], np.float32)
