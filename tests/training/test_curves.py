"""The picture of a run: there as soon as there is something to see, whatever the losses."""

from pathlib import Path

import numpy as np
import pytest

from vultus.image import load_image
from vultus.training.curves import POINTS, coarse, draw_curves, read_columns
from vultus.training.run import Run, append_row


def log(run: Run, losses: list[float]) -> None:
    for step, loss in enumerate(losses, 1):
        row = {"epoch": 0, "step": step, "lr": 0.1 / step, "samples_per_second": 9.0}
        append_row(run.log, row | {"total": loss, "part": loss / 2})


@pytest.mark.parametrize("losses", [[3.0, 2.0, 1.0], [1.0, 0.0, -1.0], [0.0]], ids=str)
def test_a_run_becomes_a_picture(losses: list[float], tmp_path: Path) -> None:
    run = Run(tmp_path)
    log(run, losses)
    draw_curves(run)
    narrow = load_image(run.curves)
    append_row(run.validations, {"epoch": 1, "step": len(losses), "mean_ap": 0.5})
    draw_curves(run)
    wide = load_image(run.curves)
    assert wide.shape[1] > narrow.shape[1], "a panel for the figures"
    assert np.ptp(wide) == 255


def test_nothing_to_see_is_no_picture(tmp_path: Path) -> None:
    draw_curves(Run(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_columns_are_read_as_numbers(tmp_path: Path) -> None:
    run = Run(tmp_path)
    log(run, [3.0, 2.0])
    columns = read_columns(run.log)
    assert list(columns) == ["epoch", "step", "lr", "samples_per_second", "total", "part"]
    np.testing.assert_allclose(columns["total"], [3, 2])


def test_many_values_become_means() -> None:
    values = np.arange(10 * POINTS, dtype=np.float32)
    np.testing.assert_allclose(coarse(values), values.reshape(POINTS, 10).mean(1))
    np.testing.assert_array_equal(coarse(values[:5]), values[:5])
