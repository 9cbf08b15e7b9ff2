"""Closed-set classification, which is not verification: everybody shown is one of the people known.

With c_ij the number of images of person i that were taken for person j (the confusion), N of them in all,

    accuracy    = sum_i c_ii / N
    precision_j = c_jj / sum_i c_ij      of those taken for j, how many are
    recall_i    = c_ii / sum_j c_ij      of those who are i, how many were taken for i
    F1_i        = 2 c_ii / (sum_j c_ij + sum_j c_ji)

*Macro* figures are means over people: each person counts the same. *Micro* figures pool the images first:
where every image gets an answer they all equal the accuracy, and where some get none (no face was found)
micro precision is higher. A person nobody was taken for has no precision; it counts as 0, as does the F1.

A classifier that must choose one of the known people is never asked about a stranger. Its accuracy depends on
how many people there are, and says nothing about accepting or rejecting one: for that see `verification`, and
`identification` with its open set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError

NO_ANSWER: Final = -1


@dataclass(frozen=True, slots=True)
class Average:
    """Precision, recall and F1 over all people, averaged in one of the two ways."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationResult:
    """The figures of a classifier on a closed set.

    Attributes:
        confusion: (P, P + 1) images of person i (row) taken for person j; last column: no answer.
        accuracy: right answers / images.
        precision: (P,) per person.
        recall: (P,) per person.
        f1: (P,) per person.
        macro: means over people.
        micro: over pooled images.
    """

    confusion: NDArray[np.intp]
    accuracy: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    macro: Average
    micro: Average


def classification(
    actual: ArrayLike | Sequence[int], predicted: ArrayLike | Sequence[int], *, people: int
) -> ClassificationResult:
    """The figures of N answers.

    Args:
        actual: (N,) who each image shows, 0 .. people - 1.
        predicted: (N,) who it was taken for; `NO_ANSWER`, -1, where there was no answer, which is wrong.
        people: how many there are; each has an image.

    Raises:
        ShapeError: not as many answers as images, or none.
        InputError: a number of nobody, or a person without an image.
    """
    truth, answers = np.asarray(actual, dtype=np.intp), np.asarray(predicted, dtype=np.intp)
    if truth.ndim != 1 or truth.shape != answers.shape or not len(truth):
        raise ShapeError(f"expected an answer for each image, got {truth.shape} and {answers.shape}")
    if truth.min() < 0 or answers.min() < NO_ANSWER or max(truth.max(), answers.max()) >= people:
        raise InputError(f"expected numbers of people from 0 to {people - 1}, or {NO_ANSWER} for no answer")
    confusion = np.zeros((people, people + 1), dtype=np.intp)
    np.add.at(confusion, (truth, answers), 1)  # NO_ANSWER, -1, is the last column
    right, shown = np.diagonal(confusion), confusion.sum(axis=1)
    taken = confusion[:, :people].sum(axis=0)
    if not shown.all():
        raise InputError(f"there is no image of person {int(np.argmin(shown))}: their recall has no meaning")
    precision, recall = right / np.maximum(taken, 1), right / shown
    f1 = 2 * right / (shown + taken)
    answered = int(taken.sum())
    n_right = int(right.sum())
    return ClassificationResult(
        confusion=confusion,
        accuracy=n_right / len(truth),
        precision=precision,
        recall=recall,
        f1=f1,
        macro=Average(float(precision.mean()), float(recall.mean()), float(f1.mean())),
        micro=Average(
            n_right / max(answered, 1), n_right / len(truth), 2 * n_right / (len(truth) + answered)
        ),
    )


def nearest_person(
    gallery: NDArray[np.floating],
    gallery_identity: Sequence[int],
    *,
    probes: NDArray[np.floating],
    has_face: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """(P,) whose enrolled face is closest to each probe; `NO_ANSWER` where it shows no face.

    Args:
        gallery: (G, D) unit rows.
        gallery_identity: (G,) whose face each is.
        probes: (P, D) unit rows.
        has_face: (P,) which probes show a face.
    """
    owners = np.asarray(gallery_identity, dtype=np.intp)
    closest = owners[np.argmax(probes @ gallery.T, axis=1)]
    return np.where(has_face, closest, NO_ANSWER)
