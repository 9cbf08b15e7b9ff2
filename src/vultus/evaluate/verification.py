"""Verification (1:1): do two images show the same person? Accuracy over folds, as LFW's view 2 defines it.

For each fold i the threshold t_i is the one with the highest accuracy on the other folds, and a_i is the
accuracy on fold i at t_i. Reported are the mean of the a_i and its standard error

    s / sqrt(K),   s^2 = sum_i (a_i - mean)^2 / (K - 1)

No fold ever sees its own threshold, pairs are never shuffled, and none is dropped.

Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild. University of Massachusetts, Amherst,
Technical Report 07-49, 2007, section on reporting. http://vis-www.cs.umass.edu/lfw/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.evaluate.curves import EqualError, Scores, TarAtFar, equal_error, tar_at_far


@dataclass(frozen=True, eq=False, slots=True)
class ScoredPairs:
    """Pairs of images with the similarity a model gave them, in the published order. Immutable.

    Attributes:
        similarities: (N,) float64, larger is closer.
        is_genuine: (N,) bool: both images show one person.
        fold: (N,) the fold of each pair, 0 .. K - 1.

    Raises:
        ShapeError: the lengths disagree, or a similarity is not finite.
        InputError: fewer than two folds, a fold without pairs, or no genuine or no impostor pair.
    """

    similarities: Scores
    is_genuine: NDArray[np.bool_]
    fold: NDArray[np.intp]

    def __post_init__(self) -> None:
        for name, dtype in (("similarities", np.float64), ("is_genuine", np.bool_), ("fold", np.intp)):
            array = np.array(getattr(self, name), dtype=dtype)
            if array.ndim != 1 or len(array) != len(np.asarray(self.similarities)):
                raise ShapeError(f"{name} must have one entry per pair, got shape {array.shape}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if not np.isfinite(self.similarities).all():
            raise ShapeError("similarities must be finite; score a pair without a face as -1, a non-match")
        if not self.is_genuine.any() or self.is_genuine.all():
            raise InputError("verification needs genuine and impostor pairs, got only one of the two kinds")
        folds = np.unique(self.fold)
        if len(folds) < 2 or not np.array_equal(folds, np.arange(len(folds))):
            raise InputError(
                f"verification needs folds 0 .. K - 1, at least two, none empty, got {folds.tolist()}"
            )

    @property
    def genuine(self) -> Scores:
        """The similarities of the genuine pairs."""
        return self.similarities[self.is_genuine]

    @property
    def impostor(self) -> Scores:
        """The similarities of the impostor pairs."""
        return self.similarities[~self.is_genuine]


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold, judged at the threshold that the other folds chose.

    Attributes:
        threshold: a pair is accepted if its similarity >= this.
        accuracy: the share of this fold's pairs that are answered correctly.
    """

    threshold: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """The figures of one verification protocol.

    Attributes:
        folds: one entry per fold, in the published order.
        equal_error: over all pairs.
        tar_at_far: over all pairs, one entry per false accept rate that was asked for.
        n_genuine: genuine pairs compared.
        n_impostors: impostor pairs compared.
    """

    folds: tuple[Fold, ...]
    equal_error: EqualError
    tar_at_far: tuple[TarAtFar, ...]
    n_genuine: int
    n_impostors: int

    @property
    def accuracy(self) -> float:
        """The mean accuracy over the folds."""
        return sum(fold.accuracy for fold in self.folds) / len(self.folds)

    @property
    def standard_error(self) -> float:
        """The standard error of that mean."""
        spread = sum((fold.accuracy - self.accuracy) ** 2 for fold in self.folds)
        return sqrt(spread / (len(self.folds) - 1) / len(self.folds))


def verification(pairs: ScoredPairs, *, fars: Sequence[float] = ()) -> VerificationResult:
    """Accuracy over the folds, the equal error rate, and TAR at each of `fars`.

    Raises:
        InputError: a false accept rate that this many impostors cannot carry.
    """
    genuine, impostor = pairs.genuine, pairs.impostor
    return VerificationResult(
        folds=fold_accuracies(pairs),
        equal_error=equal_error(genuine, impostor),
        tar_at_far=tuple(tar_at_far(genuine, impostor, far=far) for far in fars),
        n_genuine=len(genuine),
        n_impostors=len(impostor),
    )


def fold_accuracies(pairs: ScoredPairs) -> tuple[Fold, ...]:
    """For each fold, the threshold chosen on the others and the accuracy here."""
    folds = []
    for index in range(int(pairs.fold.max()) + 1):
        here = pairs.fold == index
        threshold = best_threshold(pairs.similarities[~here], pairs.is_genuine[~here])
        accepted = pairs.similarities[here] >= threshold
        folds.append(Fold(threshold, float(np.mean(accepted == pairs.is_genuine[here]))))
    return tuple(folds)


def best_threshold(similarities: Scores, is_genuine: NDArray[np.bool_]) -> float:
    """The threshold that answers the most pairs correctly.

    Accuracy changes only where a threshold passes a similarity, so it is enough to try one cut below each
    distinct similarity, and one above all. The threshold stands halfway between the neighbours of the cut,
    and of several equally good cuts the middle one is taken: neither looks at anything but these pairs.
    """
    order = np.argsort(similarities, kind="stable")
    ascending, genuine_sorted = similarities[order], is_genuine[order]
    # correct[k]: right answers if the k lowest pairs are rejected and the others accepted, k = 0 .. N
    rejected_impostors = np.concatenate([[0], np.cumsum(~genuine_sorted)])
    accepted_genuine = genuine_sorted.sum() - np.concatenate([[0], np.cumsum(genuine_sorted)])
    correct = rejected_impostors + accepted_genuine
    splits_tie = np.concatenate([[False], ascending[1:] == ascending[:-1], [False]])
    correct[splits_tie] = -1  # no threshold rejects one of two equal similarities
    cuts = np.flatnonzero(correct == correct.max())
    cut = int(cuts[(len(cuts) - 1) // 2])
    if cut == 0:
        return float(ascending[0])
    if cut == len(ascending):
        return float(np.nextafter(ascending[-1], np.inf))
    low, high = ascending[cut - 1], ascending[cut]
    halfway = low + (high - low) / 2
    return float(halfway if halfway > low else high)  # between neighbouring floats there is no halfway
