"""A measurement on a list of pairs as a report: which list, the figures, and pictures of the error rates."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Final

from vultus.evaluate.curves import roc
from vultus.evaluate.figures import Pictures
from vultus.evaluate.lfw import PROTOCOL, PairsResult
from vultus.evaluate.report import Report, Subject
from vultus.evaluate.verification import ScoredPairs, VerificationResult
from vultus.evaluate.verification_plots import det_figure, roc_figure, scores_figure

# Name of a set in `pair_sets` -> what it is called, and how many pairs its published list has.
SETS: Final[Mapping[str, tuple[str, int]]] = {
    "lfw": ("LFW, view 2", 6000),
    "cfp-ff": ("CFP, frontal to frontal", 7000),
    "cfp-fp": ("CFP, frontal to profile", 7000),
    "agedb-30": ("AgeDB-30", 6000),
    "calfw": ("CALFW", 6000),
    "cplfw": ("CPLFW", 6000),
}
PACK: Final = (
    " The faces of a pack are aligned crops that go straight to the embedder: no face is detected, so none "
    "is missed. A pack numbers no folds: they are ten runs of equal length, in the order of the file."
)
ALIGNED: Final = " The images are aligned crops that went straight to the embedder: no face was detected."


def set_title(name: str, n_pairs: int) -> str:
    """What a report on this set is called; another list than the published one is named as such."""
    title, published = SETS[name]
    if n_pairs == published:
        return title
    return f"{title.partition(',')[0]} layout, not the published list ({n_pairs:,} of {published:,} pairs)"


def pairs_report(result: PairsResult, *, subject: Subject, note: str = "") -> Report:
    """The figures of a list of pairs.

    Args:
        result: of `evaluate_pairs`.
        subject: which list, and what was judged.
        note: what is particular to this list; ends the protocol.
    """
    scores = result.verification
    figures = verification_figures(scores) | {
        "images": f"{result.n_images:,}, {result.n_with_several_faces:,} with several faces",
        "images without a face": f"{len(result.without_face):,}",
        "pairs without a face": f"{result.n_pairs_without_face:,}, scored -1 (a non-match)",
    }
    details = asdict(result) | {"accuracy": scores.accuracy, "standard_error": scores.standard_error}
    return Report.on(subject, protocol=PROTOCOL + note, figures=figures, details=details)


def verification_figures(scores: VerificationResult) -> dict[str, str]:
    """Accuracy, thresholds, equal error rate and TAR at each FAR, in words."""
    thresholds = [fold.threshold for fold in scores.folds]
    figures = {
        "pairs": f"{scores.n_genuine:,} genuine, {scores.n_impostors:,} impostor, none dropped",
        "accuracy": f"{scores.accuracy:.2%} +- {scores.standard_error:.2%} "
        f"(mean and standard error of {len(scores.folds)} folds)",
        "thresholds": f"{min(thresholds):.4f} to {max(thresholds):.4f} over the folds",
        "EER": f"{scores.equal_error.rate:.2%} at {scores.equal_error.threshold:.4f}",
    }
    for one in scores.tar_at_far:
        low, high = one.tar_interval
        figures[f"TAR@FAR={one.far:g}"] = f"{one.tar:.2%} ({low:.2%} to {high:.2%}) at {one.threshold:.4f}"
    return figures


def pairs_pictures(scored: ScoredPairs, result: VerificationResult, *, title: str) -> Pictures:
    """roc.png, det.png and scores.png."""
    curves = {"all pairs": roc(scored.genuine, scored.impostor)}
    thresholds = {"equal error": result.equal_error.threshold}
    thresholds |= {f"FAR {one.far:g}": one.threshold for one in result.tar_at_far}
    return {
        "roc.png": partial(roc_figure, curves, title=title),
        "det.png": partial(det_figure, curves, title=title),
        "scores.png": partial(
            scores_figure, scored.genuine, scored.impostor, title=title, thresholds=thresholds
        ),
    }
