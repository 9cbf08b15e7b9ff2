"""`vultus evaluate robustness` and `slices`: for whom, and in what pictures, it works less well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.reporting import ReportFolder, command_line, present
from vultus.cli.under_test import Aligned, Flip, People, UnderTest, check_carried
from vultus.defaults import DEFAULT_DETECTOR
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.evaluate.one_face import Change, EmbeddedImages
    from vultus.evaluate.slices import Grouping

TURN = "turn"


def robustness(
    images: People,
    *,
    pairs_list: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            metavar="PAIRS.txt",
            help="Compare the pairs of this list, in the format of LFW's view 2.",
            show_default="everybody's first image with all the others",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Make the probes worse in this way only; repeatable.", show_default="all"
        ),
    ] = None,
    far: Annotated[
        float, typer.Option("--far", help="The common threshold has this false accept rate on good images.")
    ] = 0.01,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    aligned: Aligned = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """What masks, dark glasses, blur, low resolution, light, JPEG and rotation cost, step by step.

    Of each pair the second image is made worse and goes through the whole pipeline again.

    Example: vultus evaluate robustness lfw/images --pairs lfw/pairs.txt --only blur --report runs/blur
    """
    from vultus.evaluate.degradations import DEGRADATIONS
    from vultus.evaluate.pairs import read_pairs
    from vultus.evaluate.people import find_people
    from vultus.evaluate.report import Subject
    from vultus.evaluate.robustness import (
        evaluate_robustness,
        pairs_of_people,
        probes_of,
        with_template_landmarks,
    )
    from vultus.evaluate.robustness_report import robustness_pictures, robustness_report
    from vultus.image import image_size_hw, load_image

    unknown = [name for name in only or () if name not in DEGRADATIONS]
    if unknown:
        raise InputError(f"--only must be one of {', '.join(DEGRADATIONS)}; got {unknown[0]!r}")
    asked = [(name, strength) for name in only or DEGRADATIONS for strength in DEGRADATIONS[name].strengths]
    if pairs_list is None:
        found = find_people(images)
        listed, paths = pairs_of_people(found), list(found.paths)
    else:
        listed = read_pairs(pairs_list)
        paths = listed.find_images(images)
    check_carried([far], int((~listed.is_genuine).sum()))
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
    clean = under_test.embed(paths)
    if aligned:
        clean = with_template_landmarks(clean, size_px=image_size_hw(paths[0])[0])

    def embed(numbers: Sequence[int], change: Change, what: str) -> EmbeddedImages:
        return under_test.embed([paths[number] for number in numbers], change=change, what=what)

    slices = evaluate_robustness(listed, clean, asked=asked, embed=embed, far=far)
    title = f"Robustness on {(pairs_list or images).name}"
    subject = Subject(title, under_test.setting, command_line())
    shown = next((i for i in probes_of(listed).images if clean.has_face[i]), 0)
    present(
        robustness_report(slices, far=far, subject=subject),
        report,
        as_json=as_json,
        pictures=robustness_pictures(
            slices, example=(load_image(paths[shown]), clean.landmarks[shown]), title=title
        ),
    )


def slices(
    images: People,
    *,
    by: Annotated[
        str,
        typer.Option("--by", help="'turn' (how far the heads are turned), or a column of the metadata."),
    ] = TURN,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata",
            metavar="CSV",
            help="A table with a column 'image', the path below DIR, and one for each attribute.",
            show_default=False,
        ),
    ] = None,
    edge: Annotated[
        list[float] | None,
        typer.Option(
            "--edge",
            help="The column holds numbers: cut them into ranges here; repeatable.",
            show_default="none",
        ),
    ] = None,
    gap: Annotated[
        bool, typer.Option("--gap", help="Group by the difference of the two numbers, such as years between.")
    ] = False,
    fmr: Annotated[
        float | None,
        typer.Option(
            "--fmr",
            help="The common threshold has this false match rate over all pairs.",
            show_default="0.001, or what the images can show",
        ),
    ] = None,
    min_similarity: options.MinSimilarity = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Error rates by group (gender, age, pose ...), all at one threshold; small groups are named as such.

    Example: vultus evaluate slices photos/ --metadata photos.csv --by gender --report runs/gender

    Example: vultus evaluate slices photos/ --metadata photos.csv --by age --gap --edge 5 --edge 15
    """
    from vultus.evaluate.people import find_people
    from vultus.evaluate.report import Subject
    from vultus.evaluate.slices import rates_by_group
    from vultus.evaluate.slices_report import slices_pictures, slices_report
    from vultus.match.all_pairs import count_impostors, impostor_similarities
    from vultus.match.false_matches import carried_rates, threshold_at_fmr

    found = find_people(images)
    names = [path.relative_to(images).as_posix() for path in found.paths]
    check_carried(None if fmr is None else [fmr], count_impostors(found.identity_index))
    choose = _grouping(by, names, metadata=metadata, edges=edge or (), is_gap=gap)
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads)
    embedded = under_test.embed(found.paths)
    kept = [i for i, has_face in enumerate(embedded.has_face) if has_face]
    rows, owners = embedded.embeddings[kept], [found.identity_index[i] for i in kept]
    rule, grouping = choose(embedded, kept)
    if min_similarity is None:
        carried = carried_rates(count_impostors(owners), rates=(1e-3, 1e-2, 1e-1))
        rate = fmr or next(iter(carried), 0.5)
        threshold = threshold_at_fmr(impostor_similarities(rows, owners), fmr=rate)
        origin = f"FMR {rate:g} over all pairs"
    else:
        threshold, origin = min_similarity, "as given"
    groups = rates_by_group(rows, owners, grouping=grouping, threshold=threshold)
    title = f"Error rates on {images.name} by {by}"
    subject = Subject(title, under_test.setting, command_line())
    present(
        slices_report(groups, rule=rule, threshold=threshold, origin=origin, subject=subject),
        report,
        as_json=as_json,
        pictures=slices_pictures(groups, title=title),
    )


def _grouping(
    by: str, names: Sequence[str], *, metadata: Path | None, edges: Sequence[float], is_gap: bool
) -> Callable[[EmbeddedImages, Sequence[int]], tuple[str, Grouping]]:
    """Reads what is asked for now; which images have a face is known later."""
    from vultus.evaluate.metadata import read_column, read_numbers
    from vultus.evaluate.slices import TURN_EDGES, by_gap, by_range, by_turn, by_value
    from vultus.quality.pose import turns

    if by == TURN and metadata is None:
        rule = "by the more turned of the two faces (0 frontal, 1 a profile; the unit of quality.pose)"
        return lambda embedded, kept: (
            rule,
            by_turn(turns(embedded.landmarks[list(kept)]), edges or TURN_EDGES),
        )
    if metadata is None:
        raise InputError(f"--by {by} is a column of a table: name it with --metadata")
    if not edges:
        if is_gap:
            raise InputError("--gap needs at least one --edge, such as --edge 5 --edge 15")
        values = read_column(metadata, by, images=names)
        rule = f"both images have the same {by}"
        return lambda _, kept: (rule, by_value([values[i] for i in kept]))
    numbers = read_numbers(metadata, by, images=names)
    group = by_gap if is_gap else by_range
    rule = f"by the difference of their {by}" if is_gap else f"both images in the same range of {by}"
    return lambda _, kept: (rule, group([numbers[i] for i in kept], edges))
