"""`vultus evaluate people`, `identify`, `classify`: what is measured on a folder of people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.reporting import ReportFolder, command_line, present
from vultus.cli.under_test import Aligned, Flip, People, UnderTest, check_carried
from vultus.defaults import DEFAULT_DETECTOR


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
    detector: options.DetectorName = DEFAULT_DETECTOR,
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
    from vultus.evaluate.people import find_people
    from vultus.evaluate.people_report import people_pictures, people_report
    from vultus.evaluate.report import Subject
    from vultus.match.all_pairs import count_impostors, rates_at, rates_at_fmr
    from vultus.match.false_matches import carried_rates

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
    subject = Subject(title, under_test.setting, command_line())
    pictures = people_pictures(rows, owners, rates=rates, title=title) if report else {}
    present(people_report(rates, embedded, subject=subject), report, as_json=as_json, pictures=pictures)


EnrolledImages = Annotated[
    int, typer.Option("--enrolled-images", min=1, help="So many images of each person are enrolled.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of the draw: the same seed, the same people.")]


def identify(
    images: People,
    *,
    gallery_size: Annotated[
        list[int] | None,
        typer.Option(
            "--gallery-size",
            min=1,
            help="Measure with so many people enrolled; repeatable.",
            show_default="10, 100, 1000 ... and as many as there are",
        ),
    ] = None,
    fpir: Annotated[
        list[float] | None,
        typer.Option(
            "--fpir",
            help="Report the misses where this share of strangers is named; repeatable.",
            show_default="those of 0.1, 0.01, 0.001 that the strangers can show",
        ),
    ] = None,
    enrolled_images: EnrolledImages = 1,
    unenrolled: Annotated[
        float, typer.Option("--unenrolled", min=0, max=0.99, help="The share of people who stay strangers.")
    ] = 0.5,
    seed: Seed = 0,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    aligned: Aligned = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Identification (1:N): how often the right person comes first, and who is missed where strangers come.

    Part of the people are enrolled; the others are strangers, whom nobody should be named after.

    Example: vultus evaluate identify photos-of-staff/ --gallery-size 100 --fpir 0.01 --report runs/staff
    """
    from vultus.evaluate.enrolment_split import search_split, split_people
    from vultus.evaluate.identification_report import (
        SplitOptions,
        evaluate_identification,
        identification_pictures,
        identification_report,
        usual_sizes,
    )
    from vultus.evaluate.people import find_people
    from vultus.evaluate.report import Subject

    found = find_people(images)
    how = SplitOptions(enrolled_images=enrolled_images, unenrolled=unenrolled, seed=seed)
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
    embedded = under_test.embed(found.paths)
    split = split_people(found.identity_index, embedded.has_face, **asdict(how))
    sizes = gallery_size or usual_sizes(len(split.enrolled))
    searches = [search_split(embedded, split, gallery_size=size) for size in sizes]
    results = [evaluate_identification(one, fpirs=fpir) for one in searches]
    title = f"Identification on {images.name}"
    subject = Subject(title, under_test.setting, command_line())
    names = [found.people[owner] for owner in found.identity_index]
    present(
        identification_report(results, split, embedded, how=how, subject=subject),
        report,
        as_json=as_json,
        pictures=identification_pictures(searches, results, faces=(embedded, names), title=title),
    )


def classify(
    images: People,
    *,
    enrolled_images: EnrolledImages = 1,
    seed: Seed = 0,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    aligned: Aligned = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Accuracy, precision, recall, F1 where everybody is known: a closed set, which is not verification.

    People with too few images are left out. No stranger is ever shown, so nothing here says how many would
    be taken for somebody: that is `vultus evaluate identify`.

    Example: vultus evaluate classify photos-of-staff/ --enrolled-images 3 --report runs/staff
    """
    from vultus.evaluate.classification_report import (
        classification_pictures,
        classification_report,
        classify_split,
    )
    from vultus.evaluate.enrolment_split import split_people
    from vultus.evaluate.identification_report import SplitOptions
    from vultus.evaluate.people import find_people
    from vultus.evaluate.report import Subject

    found = find_people(images)
    how = SplitOptions(enrolled_images=enrolled_images, unenrolled=0, seed=seed)
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
    embedded = under_test.embed(found.paths)
    split = split_people(found.identity_index, embedded.has_face, **asdict(how)).in_order()
    names = [found.people[found.identity_index[entry[0]]] for entry in split.enrolled]
    result = classify_split(embedded, split)
    title = f"Closed-set classification on {images.name}"
    subject = Subject(title, under_test.setting, command_line())
    present(
        classification_report(result, names, how=how, subject=subject),
        report,
        as_json=as_json,
        pictures=classification_pictures(result, names, title=title),
    )
