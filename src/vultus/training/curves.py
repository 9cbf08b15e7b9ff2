"""A run as a picture: losses, learning rate and the figures of the validations, over the steps."""

import csv
from pathlib import Path

import numpy as np

from vultus.image import replace_file
from vultus.training.run import Run
from vultus.types import FloatArray

NO_CURVES = ("epoch", "step", "lr", "samples_per_second")
POINTS = 200  # means that a loss is drawn as: single batches differ more than epochs do


def draw_curves(run: Run) -> None:
    """Write curves.png, from log.csv and validation.csv as far as they are there."""
    from matplotlib.figure import Figure

    log, validations = read_columns(run.log), read_columns(run.validations)
    figure = Figure(figsize=(12, 4), layout="constrained")
    losses, figures, rate = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    losses.set(title="losses", xlabel="step", yscale="log")
    figures.set(title="validation", xlabel="step")
    rate.set(title="learning rate", xlabel="step")
    for axes, columns, marker in ((losses, log, ""), (figures, validations, ".")):
        for name in columns.keys() - NO_CURVES if columns else ():
            axes.plot(coarse(columns["step"]), coarse(columns[name]), marker=marker, label=name)
        axes.grid(alpha=0.3)
        axes.legend()
    with replace_file(run.curves) as stream:
        figure.savefig(stream, format="png", dpi=100)


def read_columns(file: Path) -> dict[str, FloatArray]:
    """The columns of a CSV file by their names; none if there is no file."""
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {name: np.array([float(row[name]) for row in rows], np.float32) for name in rows[0]}


def coarse(values: FloatArray) -> FloatArray:
    """(N,) values as the means of at most `POINTS` runs of them."""
    return np.array([run.mean() for run in np.array_split(values, min(len(values), POINTS))], np.float32)
