"""Identification on a folder of people, as a report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from vultus.evaluate.enrolment_split import EnrolmentSplit
from vultus.evaluate.figures import Pictures
from vultus.evaluate.identification import (
    FnirAtFpir,
    RankRate,
    Searches,
    cmc,
    fnir_at_fpir,
    open_set_curve,
)
from vultus.evaluate.identification_plots import cmc_figure, embedding_figure
from vultus.evaluate.one_face import EmbeddedImages
from vultus.evaluate.report import Report, Subject
from vultus.evaluate.verification_plots import det_figure
from vultus.match.false_matches import carried_rates

FPIRS: Final = (0.1, 0.01, 0.001)
SHOWN_RANKS: Final = (1, 5, 10)
PROTOCOL: Final = (
    "A probe is compared with everybody in the gallery; a person scores what the closest of their {enrolled} "
    "enrolled image(s) scores, and ties count against us. Strangers are people who are never enrolled: drawn "
    "(seed {seed}), and all who have too few images; they are the same for every gallery size. CMC: probes "
    "of enrolled people, the strangers absent. FNIR: the right person is not first, or below the "
    "threshold that names at most FPIR of the strangers' probes in a gallery of that size. A probe of "
    "somebody enrolled without a face is a miss; a stranger's is left out and counted. 95 % Wilson "
    "intervals, which take probes as independent."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOptions:
    """How people were split: the arguments of `split_people`."""

    enrolled_images: int = 1
    unenrolled: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GalleryResult:
    """The figures for one gallery size.

    Attributes:
        gallery_size: the number of people enrolled.
        cmc: from rank 1 on.
        fnir_at_fpir: one entry per rate that the strangers can show.
    """

    gallery_size: int
    cmc: tuple[RankRate, ...]
    fnir_at_fpir: tuple[FnirAtFpir, ...]


def usual_sizes(largest: int) -> list[int]:
    """10, 100, 1,000 ... as far as they go, and the largest possible."""
    return [10**power for power in range(1, len(str(largest))) if 10**power < largest] + [largest]


def evaluate_identification(
    searches: Searches, *, fpirs: Sequence[float] | None = None, max_rank: int = 20
) -> GalleryResult:
    """The figures of one gallery size.

    Args:
        searches: of that gallery.
        fpirs: false positive identification rates; by default those of 0.1, 0.01 and 0.001 that the strangers
            can show.
        max_rank: of the CMC.

    Raises:
        InputError: a rate that the strangers cannot carry.
    """
    asked = carried_rates(len(searches.stranger_scores), rates=FPIRS) if fpirs is None else fpirs
    return GalleryResult(
        gallery_size=searches.gallery_size,
        cmc=cmc(searches, max_rank=max_rank),
        fnir_at_fpir=tuple(fnir_at_fpir(searches, fpir=fpir) for fpir in asked),
    )


def identification_report(
    results: Sequence[GalleryResult],
    split: EnrolmentSplit,
    embedded: EmbeddedImages,
    *,
    how: SplitOptions,
    subject: Subject,
) -> Report:
    """The figures by gallery size.

    Args:
        results: one per gallery size.
        split: who served for what.
        embedded: all images.
        how: the split was drawn.
        subject: which folder, and what was judged.
    """
    lost = ~embedded.has_face
    n_probes = sum(len(images) for images in split.probes)
    figures = {
        "people": f"{len(split.enrolled):,} can be enrolled; strangers: {len(split.strangers):,} images",
        "images": f"{len(lost):,}, {int(lost.sum()):,} without a face: {int(lost[split.strangers].sum()):,} "
        f"strangers' (left out), of {n_probes:,} mated probes "
        f"{sum(int(lost[images].sum()) for images in split.probes):,} (missed)",
    }
    for one in results:
        who = f"{one.gallery_size:,} people"
        figures |= {f"{who}: rank-{at.rank}": _rank(at) for at in one.cmc if at.rank in SHOWN_RANKS}
        figures |= {f"{who}: FNIR@FPIR={at.fpir:g}": _point(at) for at in one.fnir_at_fpir}
        if not one.fnir_at_fpir:
            figures[f"{who}: FNIR@FPIR"] = "not measured: too few probes of strangers for FPIR 0.1"
    return Report.on(
        subject,
        protocol=PROTOCOL.format(enrolled=how.enrolled_images, seed=how.seed),
        figures=figures,
        details={
            "split": asdict(how) | {"people": len(split.enrolled), "strangers_images": len(split.strangers)},
            "galleries": [asdict(one) for one in results],
        },
    )


def identification_pictures(
    searches: Sequence[Searches],
    results: Sequence[GalleryResult],
    *,
    faces: tuple[EmbeddedImages, Sequence[str]],
    title: str,
) -> Pictures:
    """cmc.png, open_set.png where there are strangers, and embeddings.png.

    Args:
        searches: one per gallery size.
        results: of these searches.
        faces: all images, and (M,) whose image each is.
        title: above the pictures.
    """
    embedded, names = faces
    shown = [name for name, has_face in zip(names, embedded.has_face, strict=True) if has_face]
    pictures: dict[str, Any] = {
        "cmc.png": partial(cmc_figure, {one.gallery_size: one.cmc for one in results}, title=title)
    }
    curves = {
        f"{one.gallery_size:,} people": open_set_curve(one) for one in searches if len(one.stranger_scores)
    }
    if curves:
        rates = ("strangers who were named (FPIR)", "people who were missed (FNIR)")
        pictures["open_set.png"] = partial(det_figure, curves, title=title, rates=rates)
    return pictures | {
        "embeddings.png": partial(
            embedding_figure, embedded.embeddings[embedded.has_face], shown, title=title
        )
    }


def _rank(at: RankRate) -> str:
    return f"{at.rate:.2%} ({at.interval.low:.2%} to {at.interval.high:.2%}) of {at.n_probes:,} probes"


def _point(at: FnirAtFpir) -> str:
    low, high = at.fnir_interval
    return (
        f"{at.fnir:.2%} ({low:.2%} to {high:.2%}) at {at.threshold:.4f}; "
        f"{at.n_false_positives:,} of {at.n_strangers:,} strangers' probes named"
    )
