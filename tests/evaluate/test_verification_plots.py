"""Plots: what is drawn are the measured points, and every picture that a report names can be drawn."""

from pathlib import Path
from statistics import NormalDist

import numpy as np
import PIL.Image
import pytest

from vultus.errors import InputError, ShapeError
from vultus.evaluate import roc, save_pictures
from vultus.evaluate.identification import RankRate
from vultus.evaluate.identification_plots import (
    cmc_figure,
    confusion_figure,
    embedding_figure,
    principal_plane,
)
from vultus.evaluate.verification_plots import POINTS, det_figure, roc_figure, scores_figure
from vultus.match.intervals import wilson

CHANCE = np.random.default_rng(0)
GENUINE, IMPOSTOR = CHANCE.normal(0.6, 0.1, 400), CHANCE.normal(0.1, 0.1, 9_000)


def test_the_roc_shows_measured_points_and_no_others() -> None:
    curve = roc(GENUINE, IMPOSTOR)
    figure = roc_figure({"model": curve}, title="Test")
    (line,) = figure.axes[0].get_lines()
    far, tar = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert 100 < len(far) <= POINTS + 2
    measured = {(round(float(x), 9), round(float(y), 9)) for x, y in zip(curve.fmr, curve.tar, strict=True)}
    assert {
        (round(float(x), 9), round(float(y), 9)) for x, y in zip(far[:-1], tar[:-1], strict=True)
    } <= measured
    assert far[-1] == pytest.approx(0.5 / 9_000)  # never observed: half a pair
    assert tar[-1] == curve.tar[curve.fmr == 0].max()
    assert line.get_drawstyle() == "steps-pre"  # towards lower FAR nothing is gained before the next point


def test_the_axes_of_det_are_those_of_the_normal_distribution() -> None:
    figure = det_figure({"model": roc(GENUINE, IMPOSTOR)}, title="Test")
    axes = figure.axes[0]
    ticks = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert ticks["1 %"] == pytest.approx(NormalDist().inv_cdf(0.01))
    line = axes.get_lines()[0]
    assert np.isfinite(np.asarray(line.get_xydata(), dtype=float)).all()


def test_similarities_without_overlap_are_drawn_too() -> None:
    figure = det_figure({"perfect": roc([0.9, 0.95], [0.1, 0.2])}, title="Test")
    assert np.isfinite(np.asarray(figure.axes[0].get_lines()[0].get_xydata(), dtype=float)).all()


def test_every_pair_is_in_the_histogram() -> None:
    figure = scores_figure(GENUINE, IMPOSTOR, title="Test", thresholds={"FAR 0.01": 0.33})
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]  # there is one
    assert texts == ["impostor (9,000)", "genuine (400)", "FAR 0.01: 0.330"]
    low, high = axes.get_xlim()
    assert low <= min(GENUINE.min(), IMPOSTOR.min())
    assert high >= max(GENUINE.max(), IMPOSTOR.max())


def test_cmc_confusion_and_embeddings_are_drawn_into_a_folder(tmp_path: Path) -> None:
    rates = [RankRate(k, 0.5 + k / 20, wilson(10 + k, 20), 10 + k, 20) for k in (1, 2, 3)]
    vectors = CHANCE.normal(size=(30, 8)).astype(np.float32)
    drawn = save_pictures(
        {
            "cmc.png": lambda: cmc_figure({10: rates, 100: rates}, title="CMC"),
            "confusion.png": lambda: confusion_figure(
                np.array([[2, 1, 0], [0, 3, 1]]), ["Ann", "Bo"], title="Confusion"
            ),
            "embeddings.png": lambda: embedding_figure(vectors, ["a", "b", "c"] * 10, title="Embeddings"),
        },
        tmp_path / "new",
    )
    assert [path.name for path in drawn] == ["cmc.png", "confusion.png", "embeddings.png"]
    for path in drawn:
        with PIL.Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 300


def test_only_the_people_with_the_most_images_are_shown() -> None:
    names = ["many"] * 9 + ["some"] * 5 + ["one"]
    figure = embedding_figure(CHANCE.normal(size=(15, 4)).astype(np.float32), names, title="", max_people=2)
    lines = figure.axes[0].get_lines()
    assert [(line.get_label(), len(np.asarray(line.get_xdata()))) for line in lines] == [
        ("many", 9),
        ("some", 5),
    ]


def test_the_plane_is_that_of_the_largest_variance() -> None:
    points = np.zeros((50, 3), np.float32)
    points[:, 2], points[:, 0] = CHANCE.normal(size=50) * 3, CHANCE.normal(size=50)
    plane, shares = principal_plane(points + np.float32(5))
    assert abs(np.corrcoef(plane[:, 0], points[:, 2])[0, 1]) > 0.99
    assert shares[0] > shares[1] > 0
    assert sum(shares) == pytest.approx(1)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected a confusion of shape"):
        confusion_figure(np.zeros((2, 2), np.intp), ["a", "b"], title="")
    with pytest.raises(ShapeError, match="a name for each"):
        embedding_figure(np.zeros((4, 3), np.float32), ["a"], title="")
    with pytest.raises(InputError, match="three embeddings"):
        principal_plane(np.zeros((2, 3), np.float32))
