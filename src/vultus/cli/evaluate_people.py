"""`vultus evaluate people`: what a threshold means, over all pairs of a folder of people."""

from __future__ import annotations

from typing import Annotated

import typer

from vultus.cli import options
from vultus.cli.reporting import ReportFolder, command_line, present
from vultus.cli.under_test import Aligned, Flip, People, UnderTest, check_carried
from vultus.types import FaceChoice


def people(
    images: People,
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
    aligned: Aligned = False,
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
    from vultus.evaluate.people_report import people_pictures, people_report

    found = find_people(images)
    check_carried(fmr, count_impostors(found.identity_index))
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
    embedded = under_test.embed(found.paths)
    rows = embedded.embeddings[embedded.has_face]
    owners = [
        owner for owner, has_face in zip(found.identity_index, embedded.has_face, strict=True) if has_face
    ]
    recorded = under_test.embedder.min_similarity
    thresholds = min_similarity or ([] if recorded is None else [recorded])
    rates = [rates_at(rows, owners, threshold=threshold) for threshold in thresholds]
    rates += [rates_at_fmr(rows, owners, fmr=rate) for rate in fmr or carried_rates(count_impostors(owners))]
    title = f"Thresholds on {images.name}"
    made = people_report(rates, embedded, title=title, setting=under_test.setting, command=command_line())
    pictures = people_pictures(rows, owners, rates=rates, title=title) if report else {}
    present(made, report, as_json=as_json, pictures=pictures)
