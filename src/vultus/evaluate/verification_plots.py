"""Pictures of error rates: ROC, DET and the distributions of the similarities.

In the DET plot both axes are warped by the quantile function of the normal distribution: similarities that
are normally distributed give straight lines there, and small rates stay apart. A rate of 0 has no place on
an axis of that kind, nor on a logarithmic one: what was never observed is drawn at half a pair.

Martin, Doddington, Kamm, Ordowski, Przybocki: The DET curve in assessment of detection task performance.
Eurospeech 1997.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.evaluate.curves import Roc, Scores
from vultus.evaluate.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS: Final = 2_000  # more than the picture has pixels
_TICKS: Final = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_WIDEST: Final = 0.6  # beyond, there is nothing to see


def roc_figure(curves: Mapping[str, Roc], *, title: str) -> "Figure":
    """True accept rate against false accept rate (logarithmic), as steps: nothing lies between two points.

    Args:
        curves: what each is called in the legend.
        title: above the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title)
    axes = figure.add_subplot(xlabel="false accept rate (FAR)", ylabel="true accept rate (TAR)", xscale="log")
    lowest, bottom = 1.0, 0.92  # a perfect model is a line at the top, not a line in the middle
    for colour, (name, curve) in zip(_colours(curves), curves.items(), strict=True):
        seen = slice(int(np.count_nonzero(curve.fmr)) + 1)  # of the points without a false accept, the best
        far, tar = np.maximum(curve.fmr[seen], _floor(curve.fmr)), curve.tar[seen]
        kept = _thinned(far)
        axes.plot(far[kept], tar[kept], drawstyle="steps-pre", color=colour, label=name)
        lowest, bottom = min(lowest, float(far.min())), min(bottom, float(tar.min()) - 0.02)
    axes.set(xlim=(lowest, 1), ylim=(bottom, 1 + 0.02 * (1 - bottom)))
    axes.yaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right", fontsize="small")
    return figure


def det_figure(
    curves: Mapping[str, Roc],
    *,
    title: str,
    rates: tuple[str, str] = ("false match rate (FMR)", "false non-match rate (FNMR)"),
) -> "Figure":
    """Both error rates against each other, on axes of the normal distribution: the lower left is better.

    Args:
        curves: what each is called in the legend.
        title: above the picture.
        rates: what the two rates are called.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title, width=5.8, height=5.4)
    axes = figure.add_subplot(xlabel=rates[0], ylabel=rates[1])
    lowest = {"x": 0.1, "y": 0.1}
    for colour, (name, curve) in zip(_colours(curves), curves.items(), strict=True):
        floors = _floor(curve.fmr), _floor(curve.fnmr)
        fmr, fnmr = np.maximum(curve.fmr, floors[0]), np.maximum(curve.fnmr, floors[1])
        seen = np.flatnonzero((fmr < 1) & (fnmr < 1))
        kept = seen[_thinned(fmr[seen])]
        axes.plot(_probit(fmr[kept]), _probit(fnmr[kept]), drawstyle="steps-pre", color=colour, label=name)
        lowest = {"x": min(lowest["x"], floors[0]), "y": min(lowest["y"], floors[1])}
    ends = [_probit(np.array([0.7 * lowest[axis], _WIDEST])) for axis in "xy"]  # the lowest is no border
    diagonal = [max(ends[0][0], ends[1][0]), ends[0][1]]
    axes.plot(diagonal, diagonal, color="0.6", linewidth=0.8, linestyle=":", label="equal error")
    axes.set(xlim=ends[0], ylim=ends[1])
    for axis, low in ((axes.xaxis, lowest["x"]), (axes.yaxis, lowest["y"])):
        ticks = np.array([tick for tick in _TICKS if low <= tick <= _WIDEST])
        axis.set_ticks(_probit(ticks).tolist(), [f"{100 * tick:g} %" for tick in ticks])
    axes.tick_params(axis="x", rotation=45)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
    return figure


def scores_figure(
    genuine: NDArray[np.floating[Any]],
    impostor: NDArray[np.floating[Any]],
    *,
    title: str,
    thresholds: Mapping[str, float] | None = None,
) -> "Figure":
    """How the similarities of both kinds of pairs are distributed, and where thresholds cut them.

    Args:
        genuine: (N,) similarities.
        impostor: (M,) similarities.
        title: above the picture.
        thresholds: lines to draw, by name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title)
    axes = figure.add_subplot(xlabel="similarity (cosine)", ylabel="density")
    both = np.concatenate([genuine, impostor])
    count = int(np.clip(2 * np.sqrt(min(len(genuine), len(impostor))), 20, 80))
    bins = np.linspace(min(-0.2, float(both.min())), max(1.0, float(both.max())), count + 1)
    for name, scores, colour in (("impostor", impostor, COLOURS[1]), ("genuine", genuine, COLOURS[0])):
        label = f"{name} ({len(scores):,})"
        axes.hist(scores, bins=bins.tolist(), density=True, color=colour, alpha=0.55, label=label)
    for style, (name, threshold) in zip(_styles(thresholds or {}), (thresholds or {}).items(), strict=True):
        axes.axvline(threshold, color="0.2", linestyle=style, linewidth=1, label=f"{name}: {threshold:.3f}")
    axes.set_xlim(bins[0], bins[-1])
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def _thinned(rates: Scores) -> NDArray[np.intp]:
    """Positions of at most `POINTS` points of a falling rate, spread evenly over its logarithm, ends kept."""
    if len(rates) <= POINTS:
        return np.arange(len(rates))
    wanted = np.geomspace(rates[0], rates[-1], POINTS)
    found = np.searchsorted(-rates, -wanted)
    return np.unique(np.concatenate([[0], np.minimum(found, len(rates) - 1), [len(rates) - 1]]))


def _floor(rates: Scores) -> float:
    """Half the smallest rate above 0: half a pair."""
    return float(rates[rates > 0].min()) / 2


def _probit(rates: Scores) -> Scores:
    quantile = NormalDist().inv_cdf
    return np.array([quantile(float(rate)) for rate in rates])


def _colours(curves: Mapping[str, Roc]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(curves))]


def _styles(thresholds: Mapping[str, float]) -> Sequence[str]:
    styles = ("--", ":", "-.", "-")
    return [styles[i % len(styles)] for i in range(len(thresholds))]
