"""What a set of labelled faces is like: how many of whom, how large, how bright, how sharp, turned how far.

Counting needs no pixels; the rest is measured on crops drawn by a seed. How far a face is turned is read off
its landmarks: those that are stored with the crops, or those that a detector finds on them.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.figures import COLOURS, Pictures, new_figure
from vultus.evaluate.report import Report, Subject
from vultus.interfaces import Detector
from vultus.quality import sharpnesses, turns
from vultus.training.data.identities import IdentitySet, crop_counts
from vultus.training.data.shards import ShardFaces

PROTOCOL: Final = (
    "People and crops are counted over the whole set; size, brightness, sharpness and turn are measured on "
    "the sampled crops. Turn: 0 frontal, 1 (either way) a profile; from landmarks stored with the crops, or "
    "found by a detector."
)
_GRAY: Final = np.array([0.299, 0.587, 0.114])
_BINS: Final = 40

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class SetFigures:
    """What was measured.

    Attributes:
        counts: (C,) crops of each person.
        n_crops: of the whole set.
        n_unlabelled: crops of nobody known.
        sizes_px: (M,) the shorter side of each sampled crop.
        brightness: (M,) mean luma, 0..255.
        sharpness: (M,) 0..1, as `vultus.quality` has it.
        turns: (K,) of the sampled crops whose landmarks are known, K at most M.
    """

    counts: NDArray[np.int64]
    n_crops: int
    n_unlabelled: int
    sizes_px: Values
    brightness: Values
    sharpness: Values
    turns: Values


def measure(
    faces: IdentitySet, *, sample: int, seed: int = 0, detector: Detector | None = None
) -> SetFigures:
    """Count people and crops, and measure some of the crops.

    Args:
        faces: the set.
        sample: how many crops are measured; all where there are fewer.
        seed: of the draw.
        detector: finds the landmarks of crops that come without; None leaves their turn out.

    Raises:
        InputError: fewer than one crop to be measured, or one that cannot be read.
    """
    if sample < 1:
        raise InputError(f"sample must be at least 1, got {sample}")
    drawn = np.random.default_rng(seed).permutation(len(faces))[:sample]
    sizes, brightness, sharpness, found = [], [], [], []
    for index in np.sort(drawn).tolist():
        crop = faces.crop(index)
        sizes.append(min(crop.shape[:2]))
        brightness.append(float(crop.mean(axis=(0, 1)) @ _GRAY))
        sharpness.append(float(sharpnesses(crop[np.newaxis])[0]))
        found.append(_landmarks(faces, index, detector))
    turned = turns(np.concatenate([*found, np.zeros((0, 5, 2), np.float32)]))
    return SetFigures(
        counts=crop_counts(faces),
        n_crops=len(faces),
        n_unlabelled=int((faces.identity_index < 0).sum()),
        sizes_px=np.array(sizes, dtype=np.float64),
        brightness=np.array(brightness),
        sharpness=np.array(sharpness),
        turns=turned[np.isfinite(turned)],
    )


def figures_report(measured: SetFigures, *, subject: Subject) -> Report:
    """Everything as figures, with the quantiles as details."""
    counts = measured.counts
    figures = {
        "crops": f"{measured.n_crops:,}",
        "people": f"{len(counts):,}",
        "crops of nobody known": f"{measured.n_unlabelled:,}",
        "people with one crop": f"{int((counts == 1).sum()):,}",
        "sampled crops": f"{len(measured.sizes_px):,}",
    }
    spread = {name: _quantiles(values) for name, values in _measures(measured).items()}
    for name, told in spread.items():
        figures[name] = (
            f"{told['median']:g} ({told['5 %']:g} to {told['95 %']:g})" if told else "none is known"
        )
    details: dict[str, Any] = {
        "crops": measured.n_crops,
        "people": len(counts),
        "unlabelled": measured.n_unlabelled,
        "spread": spread,
    }
    return Report.on(subject, protocol=PROTOCOL, figures=figures, details=details)


def figures_pictures(measured: SetFigures, *, title: str) -> Pictures:
    """A histogram of each measure."""
    return {
        f"{name.replace(' ', '-').replace(',', '')}.png": _histogram(values, name, title)
        for name, values in _measures(measured).items()
        if len(values)
    }


def _measures(measured: SetFigures) -> dict[str, Values]:
    return {
        "crops per person": measured.counts.astype(np.float64),
        "size, px": measured.sizes_px,
        "brightness": measured.brightness,
        "sharpness": measured.sharpness,
        "turn": measured.turns,
    }


def _quantiles(values: Values) -> dict[str, float]:
    names = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "most": 1.0}
    if not len(values):
        return {}
    return {name: round(float(np.quantile(values, share)), 4) for name, share in names.items()}


def _histogram(values: Values, name: str, title: str) -> Any:
    def draw() -> Any:
        figure = new_figure(f"{title}: {name}")
        axes = figure.add_subplot(xlabel=name, ylabel="people" if name == "crops per person" else "crops")
        axes.hist(values, bins=_BINS, color=COLOURS[0])
        axes.axvline(float(np.median(values)), color="0.2", linestyle="--", linewidth=1, label="median")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        return figure

    return draw


def _landmarks(faces: IdentitySet, index: int, detector: Detector | None) -> NDArray[np.float32]:
    """(1, 5, 2), or (0, 5, 2) where they are not known."""
    if isinstance(faces, ShardFaces) and np.isfinite(faces.landmarks[index]).all():
        return faces.landmarks[index : index + 1]
    if detector is None:
        return np.zeros((0, 5, 2), np.float32)
    return detector.detect(faces.crop(index))[:1].landmarks
