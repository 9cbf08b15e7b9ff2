"""What a threshold means on a folder of people, as a report."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from vultus.evaluate.curves import roc
from vultus.evaluate.figures import Pictures
from vultus.evaluate.one_face import EmbeddedImages
from vultus.evaluate.people import PROTOCOL
from vultus.evaluate.report import Report, Subject
from vultus.evaluate.verification_plots import det_figure, scores_figure
from vultus.match.all_pairs import genuine_similarities, impostor_similarities
from vultus.types import Embeddings, ThresholdRates


def people_report(rates: Sequence[ThresholdRates], embedded: EmbeddedImages, *, subject: Subject) -> Report:
    """The rates of each threshold.

    Args:
        rates: in the order in which they are shown.
        embedded: all images, those without a face too.
        subject: which folder, and what was judged.
    """
    without_face = int((~embedded.has_face).sum())
    figures: dict[str, str] = {
        "images": f"{len(embedded.has_face):,}, {without_face:,} without a face (left out)",
        "pairs": f"{rates[0].n_genuine:,} genuine, {rates[0].n_impostors:,} impostor" if rates else "none",
    }
    for one in rates:
        figures[f"threshold {one.threshold:.4f}"] = (
            f"FMR {one.fmr:.3g} ({one.fmr_interval.low:.2g} to {one.fmr_interval.high:.2g}; "
            f"{one.n_false_matches:,} false matches), FNMR {one.fnmr:.2%}"
        )
    details = {"rates": [asdict(one) for one in rates], "images_without_face": without_face}
    return Report.on(subject, protocol=PROTOCOL, figures=figures, details=details)


def people_pictures(
    embeddings: Embeddings,
    identity_index: Sequence[int],
    *,
    rates: Sequence[ThresholdRates],
    title: str,
) -> Pictures:
    """det.png and scores.png, over all pairs of the embeddings."""
    genuine = genuine_similarities(embeddings, identity_index)
    impostor = impostor_similarities(embeddings, identity_index)
    thresholds = {f"FMR {one.fmr:.2g}": one.threshold for one in rates}
    return {
        "det.png": lambda: det_figure({"all pairs": roc(genuine, impostor)}, title=title),
        "scores.png": partial(scores_figure, genuine, impostor, title=title, thresholds=thresholds),
    }
