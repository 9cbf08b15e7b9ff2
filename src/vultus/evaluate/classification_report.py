"""Closed-set classification on a folder of people, as a report."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Final

import numpy as np

from vultus.evaluate.classification import ClassificationResult, classification, nearest_person
from vultus.evaluate.enrolment_split import EnrolmentSplit
from vultus.evaluate.figures import Pictures
from vultus.evaluate.identification_plots import confusion_figure
from vultus.evaluate.identification_report import SplitOptions
from vultus.evaluate.one_face import EmbeddedImages
from vultus.evaluate.report import Report, Subject

PROTOCOL: Final = (
    "Closed set: every image shows one of the enrolled people ({enrolled} enrolled image(s) each, the others "
    "asked) and is taken for the one with the closest enrolled face, without a threshold. An image without a "
    "face gets no answer, which is wrong. This is not verification: nobody is ever rejected, and the figures "
    "depend on how many people there are."
)


def classify_split(embedded: EmbeddedImages, split: EnrolmentSplit) -> ClassificationResult:
    """Take each probe of the enrolled people for the one with the closest enrolled face."""
    people = np.arange(len(split.enrolled))
    probes = np.concatenate(split.probes)
    predicted = nearest_person(
        embedded.embeddings[np.concatenate(split.enrolled)],
        np.repeat(people, [len(images) for images in split.enrolled]).tolist(),
        probes=embedded.embeddings[probes],
        has_face=embedded.has_face[probes],
    )
    actual = np.repeat(people, [len(images) for images in split.probes])
    return classification(actual, predicted, people=len(people))


def classification_report(
    result: ClassificationResult, names: Sequence[str], *, how: SplitOptions, subject: Subject
) -> Report:
    """Accuracy, precision, recall and F1; by person in the details.

    Args:
        result: of `classify_split`.
        names: (P,) of the people, in the order of the split.
        how: the split was drawn.
        subject: which folder, and what was judged.
    """
    no_answer = int(result.confusion[:, -1].sum())
    hardest = np.argsort(result.recall, kind="stable")[:5]
    asked = int(result.confusion.sum())
    figures = {
        "people": f"{len(names):,}; {asked:,} images asked, {no_answer:,} without a face",
        "accuracy": f"{result.accuracy:.2%}",
    }
    for kind, one in (("macro", result.macro), ("micro", result.micro)):
        figures[kind] = f"precision {one.precision:.2%}, recall {one.recall:.2%}, F1 {one.f1:.2%}"
    figures["lowest recall"] = ", ".join(f"{names[i]} {result.recall[i]:.0%}" for i in hardest)
    details = {
        "accuracy": result.accuracy,
        "macro": asdict(result.macro),
        "micro": asdict(result.micro),
        "people": [
            {"name": name, "precision": float(p), "recall": float(r), "f1": float(f)}
            for name, p, r, f in zip(names, result.precision, result.recall, result.f1, strict=True)
        ],
        "confusion": result.confusion.tolist(),
    }
    protocol = PROTOCOL.format(enrolled=how.enrolled_images)
    return Report.on(subject, protocol=protocol, figures=figures, details=details)


def classification_pictures(result: ClassificationResult, names: Sequence[str], *, title: str) -> Pictures:
    """confusion.png."""
    return {"confusion.png": partial(confusion_figure, result.confusion, names, title=title)}
