"""Pictures of identification and classification: CMC, who was taken for whom, and where the faces lie."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.evaluate.figures import COLOURS, new_figure
from vultus.evaluate.identification import RankRate
from vultus.types import Embeddings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_NAMED: Final = 40  # of more people the names would not be legible
_MARKERS: Final = ("o", "s", "^")


def cmc_figure(curves: Mapping[int, Sequence[RankRate]], *, title: str) -> "Figure":
    """The share of probes whose person is among the k best, over k, by gallery size; bands are intervals.

    Args:
        curves: by the number of people enrolled.
        title: above the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(title)
    axes = figure.add_subplot(xlabel="rank k", ylabel="person among the k best")
    for i, (size, rates) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        ranks = [one.rank for one in rates]
        label = f"{size:,} people"
        axes.plot(ranks, [one.rate for one in rates], ".-", color=colour, label=label)
        low, high = zip(*(one.interval for one in rates), strict=True)
        axes.fill_between(ranks, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.yaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    axes.locator_params(axis="x", integer=True)
    axes.set_ylim(top=min(1.002, axes.get_ylim()[1]))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", title="gallery of", fontsize="small")
    return figure


def confusion_figure(confusion: NDArray[np.intp], names: Sequence[str], *, title: str) -> "Figure":
    """Who was taken for whom, as shares of each person's images; the last column is no answer.

    Args:
        confusion: (P, P + 1) counts, a row per person.
        names: (P,) of the people.
        title: above the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ShapeError: not as many names as people.
    """
    count = len(names)
    if confusion.shape != (count, count + 1):
        raise ShapeError(f"expected a confusion of shape {(count, count + 1)}, got {confusion.shape}")
    side = 3.0 + 0.16 * min(count, MAX_NAMED)
    figure = new_figure(title, width=side + 1.2, height=side)
    axes = figure.add_subplot(xlabel="taken for", ylabel="is")
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    figure.colorbar(image, ax=axes, label="share of the person's images")
    if count <= MAX_NAMED:
        axes.set_xticks(range(count + 1), [*names, "no answer"], rotation=90, fontsize=6)
        axes.set_yticks(range(count), names, fontsize=6)
    return figure


def embedding_figure(
    embeddings: Embeddings, names: Sequence[str], *, title: str, max_people: int = 12
) -> "Figure":
    """The embeddings of the people with the most images, on the two directions in which they vary most.

    Two of a hundred dimensions: people who lie apart here are apart, people who overlap may be, too.

    Args:
        embeddings: (N, D) unit rows.
        names: (N,) whose each is.
        title: above the picture.
        max_people: this many are shown, those with the most images.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ShapeError: not as many names as embeddings.
        InputError: fewer than three embeddings.
    """
    people, owner = np.unique(np.asarray(names), return_inverse=True)
    if len(owner) != len(embeddings):
        raise ShapeError(f"expected a name for each of {len(embeddings):,} embeddings, got {len(owner):,}")
    shown = np.argsort(-np.bincount(owner), kind="stable")[:max_people]
    kept = np.isin(owner, shown)
    plane, explained = principal_plane(embeddings[kept])
    figure = new_figure(title, width=7.6, height=5.0)
    labels = (f"direction {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(explained))
    axes = figure.add_subplot(xlabel=next(labels), ylabel=next(labels), aspect="equal", adjustable="datalim")
    for i, person in enumerate(shown):
        points = plane[owner[kept] == person]
        marker = _MARKERS[i // len(COLOURS) % len(_MARKERS)]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(*points.T, marker, markersize=4, color=colour, alpha=0.7, label=people[person])
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    return figure


def principal_plane(embeddings: Embeddings) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """(N, 2) the embeddings on their first two principal components, and the share of variance of each.

    Raises:
        InputError: fewer than three embeddings, or in fewer than two dimensions.
    """
    if min(embeddings.shape, default=0) < 2 or len(embeddings) < 3:
        raise InputError(f"a plane takes three embeddings of two numbers, got {embeddings.shape}")
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    variances = lengths**2 / max(float((lengths**2).sum()), np.finfo(np.float64).tiny)
    return centred @ directions[:2].T, (float(variances[0]), float(variances[1]))
