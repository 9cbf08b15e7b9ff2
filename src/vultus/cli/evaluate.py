"""`vultus evaluate`: measure the whole pipeline on labelled images, by the rules of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.cli import evaluate_detection, options
from vultus.cli.reporting import ReportFolder, command_line, counted, present
from vultus.types import FaceChoice

if TYPE_CHECKING:
    from vultus.evaluate.lfw import PairsResult
    from vultus.evaluate.one_face import EmbeddedImages
    from vultus.evaluate.people import ThresholdRates
    from vultus.evaluate.report import Report

app = typer.Typer(
    no_args_is_help=True, help="Measure the pipeline on labelled images: accuracy, error rates, thresholds."
)
app.command()(evaluate_detection.widerface)

Flip = Annotated[
    bool, typer.Option("--flip", help="Add the embedding of the mirrored crop: slower, a little better.")
]


@app.command()
def pairs(
    pairs_list: Annotated[
        Path, typer.Argument(metavar="PAIRS.txt", help="The list of pairs, in the format of LFW's view 2.")
    ],
    *,
    images: Annotated[
        Path,
        typer.Option("--images", metavar="DIR", help="The folder with one sub-folder of images per person."),
    ],
    far: Annotated[
        list[float] | None,
        typer.Option(
            "--far",
            help="Also report TAR at this false accept rate; repeatable.",
            show_default="those of 0.01, 0.001, 0.0001 that the pairs can show",
        ),
    ] = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = "mtcnn",
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Verification accuracy over a list of image pairs: ten folds, each with the threshold of the other nine.

    No pair is dropped: an image without a face scores as a non-match, and is counted.

    Example: vultus evaluate pairs lfw/pairs.txt --images lfw/images --report runs/lfw
    """
    from vultus.evaluate.curves import carried_rates
    from vultus.evaluate.lfw import evaluate_pairs
    from vultus.evaluate.pairs import read_pairs

    listed = read_pairs(pairs_list)
    n_impostors = int((~listed.is_genuine).sum())
    _check_carries(far, n_impostors)
    pipeline = _Pipeline(detector, embedder, flip=flip, faces=faces, threads=threads)
    embedded = pipeline.embed(listed.find_images(images))
    result = evaluate_pairs(listed, embedded, fars=far or carried_rates(n_impostors))
    present(_pairs_report(result, pipeline.setting, pairs_list), report, as_json=as_json)


@app.command()
def people(
    images: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with one sub-folder of images per person.")
    ],
    *,
    fmr: Annotated[
        list[float] | None,
        typer.Option(
            "--fmr",
            help="Find the threshold of this false match rate; repeatable.",
            show_default="those of 0.01, 0.001, 0.0001 that the images can show",
        ),
    ] = None,
    min_similarity: Annotated[
        list[float] | None,
        typer.Option(
            "--min-similarity",
            min=-1,
            max=1,
            help="Report the rates of this threshold; repeatable.",
            show_default="the one recorded with the weights",
        ),
    ] = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = "mtcnn",
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """What a threshold means: error rates over all pairs of a folder of people.

    Use photos of people unlike those the weights were trained on, and like those you will meet.

    Example: vultus evaluate people photos-of-staff/ --fmr 1e-4
    """
    from vultus.evaluate.curves import carried_rates
    from vultus.evaluate.people import count_impostors, find_people, rates_at, rates_at_fmr

    found = find_people(images)
    _check_carries(fmr, count_impostors(found.identity_index))
    pipeline = _Pipeline(detector, embedder, flip=flip, faces=faces, threads=threads)
    embedded = pipeline.embed(found.paths)
    rows = embedded.embeddings[embedded.has_face]
    owners = [
        owner for owner, has_face in zip(found.identity_index, embedded.has_face, strict=True) if has_face
    ]
    recorded = [] if pipeline.min_similarity is None else [pipeline.min_similarity]
    rates = [rates_at(rows, owners, threshold=threshold) for threshold in min_similarity or recorded]
    rates += [rates_at_fmr(rows, owners, fmr=rate) for rate in fmr or carried_rates(count_impostors(owners))]
    present(_people_report(rates, embedded, pipeline.setting, images), report, as_json=as_json)


def _check_carries(asked: Sequence[float] | None, n_impostors: int) -> None:
    """Refuse an impossible rate now, not after the long work."""
    from vultus.evaluate.curves import check_carries

    for rate in asked or ():
        check_carries(n_impostors, fmr=rate)


class _Pipeline:
    """The detector and embedder under test, and their names for the report."""

    def __init__(
        self, detector: str, embedder: str | None, *, flip: bool, faces: FaceChoice, threads: int | None
    ) -> None:
        from vultus.cli.parts import make_detector
        from vultus.embed import DEFAULT_EMBEDDER, load_embedder

        name = embedder or DEFAULT_EMBEDDER
        self._detector = make_detector(detector, threads=threads)
        self._embedder = load_embedder(name, flip=flip, threads=threads)
        self._faces = faces
        self.min_similarity = self._embedder.min_similarity
        self.setting = {
            "detector": detector,
            "embedder": name,
            "contract": self._embedder.contract,
            "flip": "the embedding of the mirrored crop is added" if flip else "no",
            "face": f"{faces.value} where an image shows several",
        }

    def embed(self, paths: Sequence[Path]) -> EmbeddedImages:
        from vultus.evaluate.one_face import embed_images

        with counted("Embedding", total=len(paths)) as on_progress:
            return embed_images(
                paths,
                detector=self._detector,
                embedder=self._embedder,
                choice=self._faces,
                on_progress=on_progress,
            )


def _pairs_report(result: PairsResult, setting: dict[str, str], pairs_list: Path) -> Report:
    from vultus.evaluate.lfw import PROTOCOL
    from vultus.evaluate.report import Provenance, Report

    scores = result.verification
    figures = {
        "pairs": f"{scores.n_genuine:,} genuine, {scores.n_impostors:,} impostor, none dropped",
        "accuracy": f"{scores.accuracy:.2%} +- {scores.standard_error:.2%} "
        f"(mean and standard error of {len(scores.folds)} folds)",
        "thresholds": f"{min(fold.threshold for fold in scores.folds):.4f} to "
        f"{max(fold.threshold for fold in scores.folds):.4f} over the folds",
        "EER": f"{scores.equal_error.rate:.2%} at {scores.equal_error.threshold:.4f}",
    }
    for one in scores.tar_at_far:
        low, high = one.tar_interval
        figures[f"TAR@FAR={one.far:g}"] = f"{one.tar:.2%} ({low:.2%} to {high:.2%}) at {one.threshold:.4f}"
    figures |= {
        "images": f"{result.n_images:,}, {result.n_with_several_faces:,} with several faces",
        "images without a face": f"{len(result.without_face):,}",
        "pairs without a face": f"{result.n_pairs_without_face:,}, scored -1 (a non-match)",
    }
    return Report(
        title=f"Verification on {pairs_list.name}",
        protocol=PROTOCOL,
        setting=setting,
        figures=figures,
        details=asdict(result) | {"accuracy": scores.accuracy, "standard_error": scores.standard_error},
        provenance=Provenance.now(command_line()),
    )


def _people_report(
    rates: Sequence[ThresholdRates], embedded: EmbeddedImages, setting: dict[str, str], folder: Path
) -> Report:
    from vultus.evaluate.people import PROTOCOL
    from vultus.evaluate.report import Provenance, Report

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
    return Report(
        title=f"Thresholds on {folder.name}",
        protocol=PROTOCOL,
        setting=setting,
        figures=figures,
        details={"rates": [asdict(one) for one in rates], "images_without_face": without_face},
        provenance=Provenance.now(command_line()),
    )
