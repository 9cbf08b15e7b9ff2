"""How much accuracy a worse probe costs: the same pairs, one side of each made worse by a stated amount.

The first image of a pair stays as it was enrolled; the second, the probe, is changed, and then detected,
aligned and embedded anew, for a picture too poor to find a face in is a loss like any other. Two figures are
given for each amount:

    accuracy    over the folds, each threshold chosen on the other folds *of the changed pairs*
    TAR, FAR    at the one threshold that had the asked FAR on the pairs as they were: what happens in
                service, where nobody sets the threshold anew when it gets dark
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.align.five_point import template
from vultus.evaluate.curves import Scores
from vultus.evaluate.degradations import degraded
from vultus.evaluate.one_face import Change, EmbeddedImages, paired_similarities
from vultus.evaluate.pairs import Pairs
from vultus.evaluate.people import PeopleImages
from vultus.evaluate.verification import ScoredPairs, fold_accuracies
from vultus.match.false_matches import threshold_at_fmr
from vultus.match.intervals import wilson
from vultus.types import Interval

CLEAN: Final = "as they are"


@dataclass(frozen=True, slots=True)
class Slice:
    """The figures of the pairs with their probes made worse in one way.

    Attributes:
        name: of the degradation, or `CLEAN`.
        strength: of it; 0 for `CLEAN`.
        accuracy: mean over the folds; None where the pairs have none.
        standard_error: of that mean.
        threshold: of the pairs as they are, for every slice the same.
        tar: accepted genuine pairs / genuine pairs.
        tar_interval: 95 % Wilson interval.
        far: accepted impostor pairs / impostor pairs.
        n_lost: probes in which no usable face was found.
        n_probes: different images that were changed.
    """

    name: str
    strength: float
    accuracy: float | None
    standard_error: float | None
    threshold: float
    tar: float
    tar_interval: Interval
    far: float
    n_lost: int
    n_probes: int


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The second images of a list of pairs.

    Attributes:
        images: (Q,) each once, as positions in `pairs.images`.
        of_pair: (N,) which of them is the probe of each pair.
    """

    images: NDArray[np.intp]
    of_pair: NDArray[np.intp]


def probes_of(pairs: Pairs) -> Probes:
    """Which images are made worse: an image that is enrolled in one pair and a probe in another is both."""
    images, of_pair = np.unique(pairs.right, return_inverse=True)
    return Probes(images, of_pair.reshape(-1))


def pairs_of_people(found: PeopleImages) -> Pairs:
    """Each person's first image enrolled, every other image a probe, compared with everybody; no folds."""
    owner = np.asarray(found.identity_index, dtype=np.intp)
    people, enrolled = np.unique(owner, return_index=True)
    probes = np.setdiff1d(np.arange(len(owner)), enrolled)
    left, right = np.tile(enrolled, len(probes)), np.repeat(probes, len(people))
    return Pairs(
        images=tuple(str(path) for path in found.paths),
        left=left,
        right=right,
        is_genuine=owner[left] == owner[right],
        fold=np.zeros(len(left), dtype=np.intp),
    )


def change_of(probes: Probes, clean: EmbeddedImages, *, name: str, strength: float) -> Change:
    """What is done to probe 0, 1, ... before its face is searched for."""
    return lambda number, image: degraded(
        image, clean.landmarks[probes.images[number]], name=name, strength=strength
    )


def with_template_landmarks(clean: EmbeddedImages, *, size_px: int) -> EmbeddedImages:
    """The same, with landmarks where aligned crops of this size have them: nothing was searched for there."""
    landmarks = np.tile(template(size_px).astype(np.float32), (len(clean.has_face), 1, 1))
    return replace(clean, landmarks=landmarks)


def evaluate_robustness(
    pairs: Pairs,
    clean: EmbeddedImages,
    *,
    asked: Sequence[tuple[str, float]],
    embed: Callable[[Sequence[int], Change, str], EmbeddedImages],
    far: float,
) -> tuple[Slice, ...]:
    """The pairs as they are, and then once for each way and strength.

    Args:
        pairs: which images are compared.
        clean: the images as they are, with the landmarks of their faces.
        asked: names of degradations with strengths.
        embed: embeds images of the list, by position, changed; the last argument says how, for people.
        far: at which the common threshold is set.

    Raises:
        InputError: a false accept rate that the pairs cannot carry.
    """
    probes = probes_of(pairs)
    similarities = clean.similarities(pairs.left, pairs.right)
    threshold = threshold_at_fmr(similarities[~pairs.is_genuine], fmr=far)
    lost = int((~clean.has_face[probes.images]).sum())
    slices = [_slice(pairs, similarities, what=(CLEAN, 0.0), threshold=threshold, lost=(lost, probes))]
    for name, strength in asked:
        change = change_of(probes, clean, name=name, strength=strength)
        changed = embed(probes.images.tolist(), change, f"{name} {strength:g}")
        similarities = paired_similarities((clean, pairs.left), (changed, probes.of_pair))
        lost = int((~changed.has_face).sum())
        slices.append(
            _slice(pairs, similarities, what=(name, strength), threshold=threshold, lost=(lost, probes))
        )
    return tuple(slices)


def _slice(
    pairs: Pairs,
    similarities: Scores,
    *,
    what: tuple[str, float],
    threshold: float,
    lost: tuple[int, Probes],
) -> Slice:
    accepted = similarities >= threshold
    n_genuine = int(pairs.is_genuine.sum())
    n_accepted = int(accepted[pairs.is_genuine].sum())
    accuracy, error = _accuracy(pairs, similarities)
    return Slice(
        name=what[0],
        strength=what[1],
        accuracy=accuracy,
        standard_error=error,
        threshold=threshold,
        tar=n_accepted / n_genuine,
        tar_interval=wilson(n_accepted, n_genuine),
        far=float(accepted[~pairs.is_genuine].mean()),
        n_lost=lost[0],
        n_probes=len(lost[1].images),
    )


def _accuracy(pairs: Pairs, similarities: Scores) -> tuple[float, float] | tuple[None, None]:
    if not pairs.fold.any():
        return None, None
    folds = [one.accuracy for one in fold_accuracies(ScoredPairs(similarities, pairs.is_genuine, pairs.fold))]
    return float(np.mean(folds)), float(np.std(folds, ddof=1)) / sqrt(len(folds))
